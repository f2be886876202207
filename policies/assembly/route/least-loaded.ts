// least-loaded: send the request where the fewest requests per slot are.
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
// Use it where all nodes are of one kind: it does not know that a full fast node
// may be done before an idle slow one.
import { Row, NEVER, NONE, BAD_REQUEST, open, row, setScore, lowest, answer } from "../omx";
export { omx_abi, omx_buf } from "../omx";

const FULL: u64 = 1024; // one request per slot
const TOP: u64 = (1 << 22) - 2;

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) setScore(h, i, pressure(row(h, i)));
  return lowest(h);
}

@inline
function pressure(r: Row): u32 {
  if (!r.usable) return NEVER;
  const slots: u64 = max(r.slots, 1);
  const busy: u64 = r.loadAge == NONE ? slots : <u64>r.queued + r.running;
  const load = min(((busy + r.sentSince) * FULL) / slots, TOP);
  const near: u32 = r.rttAge == NONE ? 1023 : min(r.rtt >> 10, 1023);
  return (<u32>load << 10) | near;
}
