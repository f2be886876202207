// round-robin: the node that has waited longest for a request of this node.
//
// Where no node comes or goes this is a turn that goes round: the one used last
// is the last in line. Told by when each was used, it needs no memory of its own,
// so that a decision can be replayed alone, each model has its own round, and a
// node that joins is the next. Of nodes used in the same millisecond, or never,
// the seed chooses. Draining and suspect nodes are left out.
//
// Use it where nodes and requests are all alike, or as a baseline. The oldest of
// schedulers; J. Nagle, "On Packet Switches with Infinite Storage" (RFC 970,
// 1985), has it share a switch.
import { BAD_REQUEST, SEEN_PART, open, lowest, answer, hash } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const LONG: u32 = 1 << 21; // ms, 35 minutes: longer does not matter
const TIE: u32 = 10; // bits

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const turn = LONG - min(h.age(r.usedAt), LONG);
    h.setScore(i, (turn << TIE) | <u32>(hash(h.seed, i) >> (64 - TIE)));
  }
  return lowest(h);
}
