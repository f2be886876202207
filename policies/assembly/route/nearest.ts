// nearest: the node with the shortest round trip, in µs.
//
// One that was never measured counts with its distance in network coordinates,
// as both nodes say of themselves,
//
//   |own - its| + own height + its height
//
// lengthened by its error: F. Dabek et al., "Vivaldi: A Decentralized Network
// Coordinate System" (2004), with heights. Where those are unknown as well it
// comes after all others. Draining and suspect nodes are left out.
//
// It is blind to load: use it where nodes are never busy, or as a baseline that
// shows what looking at load is worth.
import { Header, Row, SELF, NEVER, NONE, BAD_REQUEST, STANDING_PART, open, lowest, answer, clamp } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const LONG: u64 = i32.MAX_VALUE; // µs along an axis: keeps the sum of squares within 64 bits

export function omx_wants(kind: u32): u64 { return STANDING_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  const self = h.selfRow < h.count ? h.row(h.selfRow) : null;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    h.setScore(i, r.rttAt != 0 ? min(r.rtt, NEVER - 1) : distance(self, r));
  }
  return lowest(h);
}

/** µs between this node and another by their coordinates. */
function distance(self: Row | null, r: Row): u32 {
  if ((r.flags & SELF) != 0) return 0;
  if (self == null || self.coordError == 0 || r.coordError == 0) return NEVER - 1;
  const x = min(<u64>abs(<i64>self.coordX - r.coordX), LONG);
  const y = min(<u64>abs(<i64>self.coordY - r.coordY), LONG);
  const d = root(x * x + y * y) + self.coordHeight + r.coordHeight;
  return clamp(d + (d * r.coordError) / 1000);
}

/** The whole part of a square root, bit by bit. */
function root(x: u64): u64 {
  let r: u64 = 0;
  for (let bit: u64 = 1 << 62; bit != 0; bit >>= 2) {
    const next = r + bit;
    r >>= 1;
    if (x >= next) {
      x -= next;
      r += bit;
    }
  }
  return r;
}
