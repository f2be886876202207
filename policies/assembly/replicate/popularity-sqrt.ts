// popularity-sqrt: copies in proportion to the square root of demand.
//
//   copies = sqrt(demand) × mean × models / sum of sqrt(demand) over the models
//
// with demand as requests per hour over an hour, rounded to the nearest, at least
// one and within what the operator wants. Two copies more are kept than that, and
// a quarter, before one is given up, so that demand may come and go; places, and
// what is never dropped, are as in keep-n.
//
// E. Cohen and S. Shenker, "Replication Strategies in Unstructured Peer-to-Peer
// Networks" (2002): of all ways to share out a number of copies this makes the
// way to the nearest the shortest on average. As many copies for each model and
// copies in proportion to demand are both worse, and equally so.
//
// Use it where few models get most requests and nodes are far apart.
// Parameter: mean, copies per model on average, 1 to 64.
import { Header, BAD_REQUEST, OK, MACHINE_PART, open, answer, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { MODELS, survey, beginning, keep, plan } from "../copies";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

let mean: u64 = 2;
const roots: usize = memory.data(MODELS * 4, 4);

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("mean")) mean = setting(1, 64);
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return MACHINE_PART; }

export function omx_replicate(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || !survey(h)) return answer(BAD_REQUEST);
  let sum: u64 = 0;
  for (let m: u32 = 0; m < h.models; m++) {
    const r = root(h.modelAt(m).demand1h);
    store<u32>(roots + (m << 2), r);
    sum += r;
  }
  const models = <u32>h.models;
  for (let i: u32 = 0, m = beginning(h); i < models; i++, m++) {
    if (m == models) m = 0;
    const model = h.modelAt(m);
    const share = 2 * load<u32>(roots + (m << 2)) * mean * h.models;
    let want = sum == 0 ? 1 : <u32>min<u64>((share + sum) / (2 * sum), h.count);
    want = max(want, max(model.least, 1));
    if (model.most != 0) want = min(want, model.most);
    keep(h, m, want, model.most != 0 && want == model.most ? 0 : 1 + want / 4);
  }
  return answer(OK, plan(h));
}

/** The square root in sixteenths, bit by bit. */
function root(x: u32): u32 {
  let r: u64 = 0, rest = <u64>x << 8;
  for (let bit: u64 = 1 << ((63 - clz(rest | 1)) & ~1); bit != 0; bit >>= 2) {
    const next = r + bit;
    r >>= 1;
    if (rest >= next) {
      rest -= next;
      r += bit;
    }
  }
  return <u32>r;
}
