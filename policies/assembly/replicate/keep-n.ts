// keep-n: so many copies of every model, in as many zones as there are.
//
// n is what the operator wants of the model at least, else the parameter, and no
// more than he wants at most. What is missing is fetched, to nodes with room; one
// copy beyond n is given up at a time, after ten minutes, and never the last that
// is well. A node that drains no longer counts. Zones take turns: none has more
// than its share of the copies, rounded up, unless the others have no room.
//
// Places follow rendezvous hashing (D. Thaler and C. Ravishankar, 1998) of zones,
// then of nodes: every node finds the same ones, and few copies move when one
// leaves. Three copies of nodes that are up nine tenths of the time are out of
// reach together for one hour in a thousand: for that, n = 3.
//
// Use it unless models are asked for very differently.
// Parameter: n, 1 to 64.
import { BAD_REQUEST, OK, MACHINE_PART, open, answer, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { survey, beginning, keep, plan } from "../copies";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

let n: u32 = 2;

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("n")) n = setting(1, 64);
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return MACHINE_PART; }

export function omx_replicate(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || !survey(h)) return answer(BAD_REQUEST);
  const models = <u32>h.models;
  for (let i: u32 = 0, m = beginning(h); i < models; i++, m++) {
    if (m == models) m = 0;
    const model = h.modelAt(m), want = model.least != 0 ? model.least : n;
    keep(h, m, model.most != 0 ? min(want, model.most) : want, 0);
  }
  return answer(OK, plan(h));
}
