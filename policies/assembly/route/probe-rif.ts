// probe-rif: of the nodes whose load is freshly known, the one with the fewest
// requests in flight per slot.
//
// After Prequal (Wydrowski et al., "Load is not what you should balance", NSDI
// 2024): a node is hot if it has more requests in flight per slot than the share
// q_rif of all nodes. If there are cold ones, the one that was quickest to its
// first token at about as many in flight is taken; else the one with the fewest
// in flight. Sixteen nodes, drawn by the seed, are looked at, as Prequal's
// clients each hold probes of sixteen: many who look at all of them would choose
// the same. Figures older than three seconds are not believed. The figure holds
// what this node itself has sent since. Draining and suspect nodes are left out.
//
// By default every node is hot, so requests in flight decide, and the time to the
// first token between equals. In a simulation where that time told no more than
// how long requests were, the paper's share of 0.84 sent everybody to the same
// nodes and broke down at a load of 70 %; requests in flight alone did as well as
// the power of two choices on fresh figures.
// Parameter: q_rif, per mille, 0 to 1000.
//
// Use it where the load of nodes changes quickly and most requests are alike.
import { Header, Row, BAD_REQUEST, SEEN_PART, BEHIND, open, lowest, answer, draw, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const POOL: u32 = 16; // nodes looked at
const OLD: u32 = 3000; // ms
const STEP: u64 = 16; // of load per slot
const LOADS: u32 = 256; // steps told apart: up to 16 requests per slot
const SLOW: u32 = (1 << 20) - 1; // steps of 1024 µs, 18 minutes
const HOT: u32 = 1 << 30;

let share: u32 = 0; // per mille
const seenAt: usize = memory.data(LOADS * 4, 4); // how many nodes have each load

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("q_rif")) share = setting(0, 1000);
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  const limit: u32 = share == 0 ? 0 : hotFrom(h);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const load = inFlight(h, r);
    const slow = r.rifFirst == 0 ? 0 : min(r.rifFirst >> 10, SLOW);
    let score = load < limit ? slow : HOT | (load << 20) | slow;
    if (h.count > POOL && draw(h.seed, r.node, h.count) >= POOL) score |= BEHIND;
    h.setScore(i, score);
  }
  return lowest(h);
}

/** Requests in flight per slot, in steps of a sixteenth; one per slot if that is not known. */
@inline
function inFlight(h: Header, r: Row): u32 {
  const slots: u64 = max(r.slots, 1);
  const rif = h.age(r.rifAt) > OLD ? max(slots, r.rif) : r.rif;
  return <u32>min((rif * STEP) / slots, LOADS - 1);
}

/** The load from which a node is hot. */
function hotFrom(h: Header): u32 {
  memory.fill(seenAt, 0, LOADS * 4);
  let n: u32 = 0;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const at = seenAt + (inFlight(h, r) << 2);
    store<u32>(at, load<u32>(at) + 1);
    n++;
  }
  const cold = <u32>((<u64>n * share) / 1000);
  let below: u32 = 0, limit: u32 = 0;
  while (limit < LOADS && below < cold) below += load<u32>(seenAt + (limit++ << 2));
  return limit;
}
