// nearest: send the request to the node with the shortest round trip, in µs.
//
// Nodes whose round trip was never measured come after all others; draining and
// suspect ones are left out. It is blind to load: use it where nodes are never
// busy, or as a baseline that shows what looking at load is worth.
import { Row, NEVER, NONE, BAD_REQUEST, open, row, setScore, lowest, answer } from "../omx";
export { omx_abi, omx_buf } from "../omx";

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) setScore(h, i, distance(row(h, i)));
  return lowest(h);
}

@inline
function distance(r: Row): u32 {
  if (!r.usable) return NEVER;
  return r.rttAge == NONE ? NEVER - 1 : min(r.rtt, NEVER - 1);
}
