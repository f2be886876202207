// random: any node, with equal chance.
//
// The score of row i is the upper half of splitmix64(seed + i) (Steele, Lea and
// Flood, "Fast Splittable Pseudorandom Number Generators", 2014), so that the
// same view gives the same answer wherever it is replayed. Draining and suspect
// nodes are left out. The baseline that every other policy should beat.
import { NEVER, BAD_REQUEST, open, row, setScore, lowest, answer } from "../omx";
export { omx_abi, omx_buf } from "../omx";

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const draw = <u32>(splitmix64(h.seed + i) >> 32);
    setScore(h, i, row(h, i).usable ? min(draw, NEVER - 1) : NEVER);
  }
  return lowest(h);
}

@inline
function splitmix64(x: u64): u64 {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
