// priority-shed: as the mesh fills, send ever more of the unimportant away, so
// that important requests find a slot.
//
// A client's request of a priority below 0 is shed with the chance
//
//   p = min(1, k × saturation^5)
//
// where saturation is the share of slots taken: at k = 1, 3 % when half are, 59 %
// at nine tenths, all when no slot is free. The draw is by seed and request. All
// others, and those of peers, which have passed this where they came from, are
// let in as by free-slot.
//
// The power of 5 was found by search in a simulator of inference clusters (BLIS
// for llm-d, 2026), where it took most of the waiting off the important requests
// at 5 to 20 % of goodput; there k is 300, as saturation is measured by queues.
//
// Use it where one mesh serves people and batch jobs.
// Parameter: k, per mille, 0 to 1000000.
import { open, answer, verdict, draw, SHED, BAD_REQUEST, SEEN_PART, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { LOW, gate, comeBack } from "../gate";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const MILLION: u32 = 1_000_000;
const SATURATION: u64 = 4000; // more makes no difference, and would not fit

let k: u64 = 1000; // per mille

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("k")) k = setting(0, MILLION);
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = h.row(0);
  if (h.priority < 0 && !h.fromPeer && draw(h.seed, h.request, MILLION) < chance(h.saturation)) {
    return verdict(SHED, LOW, comeBack(h, r));
  }
  return gate(h, r);
}

/** Of a million. */
@inline
function chance(saturation: u32): u32 {
  const s = min<u64>(saturation, SATURATION), fifth = (s * s * s * s * s) / 1_000_000_000;
  return <u32>min((fifth * k) / 1000, MILLION);
}
