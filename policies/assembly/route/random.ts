// random: any node, with equal chance.
//
// The baseline that every other policy should beat. The score of a row is the
// upper half of a hash of the seed and the row (the mixer of SplitMix64: Steele,
// Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014), so
// that the same view gives the same answer wherever it is replayed. Draining and
// suspect nodes are left out.
import { NEVER, BAD_REQUEST, LOAD_PART, open, lowest, answer, hash } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

export function omx_wants(kind: u32): u64 { return LOAD_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    if (h.row(i).usable) h.setScore(i, min(<u32>(hash(h.seed, i) >> 32), NEVER - 1));
  }
  return lowest(h);
}
