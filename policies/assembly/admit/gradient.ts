// gradient: find out how many requests this node serves well at a time, and let
// no more in.
//
// With each first token that comes from here, if at least half the limit was in
// use:
//
//   now      = its time / (prompt + 32)    reading time per token, any wait in it
//   usual    = the mean of about 600 of those; falls by 5 % while now < usual / 2
//   gradient = min(1, max(1/2, 1.5 × usual / now))
//   limit    = limit + (limit × gradient + 1 - limit) / 5, from 1 to 8 × slots
//
// so that the limit grows by a fifth of a request as long as reading takes no
// more than half as long again as usual, and shrinks in proportion once it does.
// It begins at the slots. Requests beyond it are shed: a peer's at once, a
// client's when other nodes have no slot free either.
//
// Gradient2 of Netflix's concurrency-limits (2018), itself after TCP Vegas; fed
// with time per token, since the time of an answer says how long it was.
//
// Use it for engines that do not say what they can do at a time, or where that
// changes: shared machines, heat, models of very different size.
import { EVENT_FIRST, ALLOW, QUEUE, SHED, BAD_REQUEST, SEEN_PART, open, openEvent, answer, verdict } from "../../sdk/assemblyscript/omx";
import { BUSY, FULL, busy, saturated, comeBack } from "../gate";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const ONE: u64 = 1024; // of a limit or gradient
const OVERHEAD: u64 = 32; // tokens: what any request takes, however short
const MEAN: u64 = 600; // samples
const MOST: u64 = 8; // times the slots
const MAX_SLOTS: u32 = 1 << 16;

let node: u64 = 0; // this
let slots: u64 = 1;
let limit: u64 = 0; // 0: not begun
let usual: u64 = 0; // ns per token, × ONE

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = h.row(0);
  if (r.loadAt == 0 || r.slots == 0) return verdict(ALLOW);
  node = r.node;
  slots = min(r.slots, MAX_SLOTS);
  if (limit == 0) limit = slots * ONE;
  if (r.requests * ONE < limit) return verdict(busy(r) ? QUEUE : ALLOW);
  if (saturated(h)) return verdict(SHED, FULL, comeBack(h, r));
  return h.fromPeer ? verdict(SHED, BUSY, 1) : verdict(ALLOW);
}

/** Learns from the time to a first token. */
export function omx_event(at: usize, length: u32): void {
  const e = openEvent(at);
  if (e.kind != EVENT_FIRST || e.node != node || limit == 0 || 2 * e.rif * ONE < limit) return;
  const now = max((<u64>e.first * 1000 * ONE) / (e.prompt + OVERHEAD), 1);
  if (usual == 0) usual = now;
  usual = (usual * (MEAN - 1) + now) / MEAN;
  if (usual > 2 * now) usual -= usual / 20;
  const gradient = min(max((3 * usual * ONE) / (2 * now), ONE / 2), ONE);
  const next = (limit * gradient) / ONE + ONE;
  limit = min(max((4 * limit + next) / 5, ONE), MOST * slots * ONE);
}
