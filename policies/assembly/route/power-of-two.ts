// power-of-two: of two nodes drawn at random, the one with fewer requests per slot.
//
//   load = min((queued + running + sentSince) × 1024 / max(slots, 1), 2^30 - 1)
//
// The others follow by load, for when the first fails. A node whose load was
// never sampled counts as one with a request per slot. Draining and suspect nodes
// are left out.
//
// M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
// (1996): two draws take most of the queueing that one leaves, and unlike a look
// at all of them do not send everybody to the one that was idle a while ago.
// sentSince is this node's own correction to figures that age.
//
// Use it where many nodes route and figures are about as old as a request takes.
import { BAD_REQUEST, SEEN_PART, BEHIND, open, lowest, answer, preferTwo } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const FULL: u64 = 1024; // one request per slot
const TOP: u64 = BEHIND / 2 - 1;

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const slots: u64 = max(r.slots, 1);
    const requests = r.loadAt == 0 ? slots + r.sentSince : r.requests;
    h.setScore(i, <u32>min((requests * FULL) / slots, TOP));
  }
  preferTwo(h);
  return lowest(h);
}
