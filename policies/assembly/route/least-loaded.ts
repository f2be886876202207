// least-loaded: the node with the fewest requests per slot.
//
// Score: load << 10 | near, where
//
//   load = min((queued + running + sentSince) × 1024 / max(slots, 1), 2^22 - 2)
//   near = min(rtt / 1024, 1023)
//
// so the round trip, in steps of about a millisecond, decides between equally
// loaded nodes. Figures never sampled count as a load of one request per slot
// and the largest round trip. Draining and suspect nodes are left out.
//
// The least-connections rule of every load balancer, with two corrections:
// nodes differ in slots, and what this node has sent since a figure was sampled
// is added to it, as M. Mitzenmacher, "How Useful Is Old Information?" (2000),
// shows what becomes of it otherwise.
//
// Use it where all nodes are of one kind: it does not know that a full fast node
// may be done before an idle slow one.
import { Row, BAD_REQUEST, SEEN_PART, open, lowest, answer } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const FULL: u64 = 1024; // one request per slot
const TOP: u64 = (1 << 22) - 2;
const FAR: u32 = 1023;

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (r.usable) h.setScore(i, pressure(r));
  }
  return lowest(h);
}

@inline
function pressure(r: Row): u32 {
  const slots: u64 = max(r.slots, 1);
  const requests = r.loadAt == 0 ? slots + r.sentSince : r.requests;
  const load = min((requests * FULL) / slots, TOP);
  const near = r.rttAt == 0 ? FAR : min(r.rtt >> 10, FAR);
  return (<u32>load << 10) | near;
}
