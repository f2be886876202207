// value-per-byte: disk space for the models that are worth most per byte.
//
//   value = demand × refetch / MiB / copies
//
// demand is in requests per hour over an hour, refetch in seconds to get the
// model from the best holder: what a copy saves, shared among all there are.
// A node with less than `low` MiB of free disk gives up the copy of least value
// there, one at a time. A further copy of a model goes to a node that keeps twice
// `low` free, if its value is then still above `floor`; so no fetch makes a drop
// necessary, and none that was dropped comes back at once. A model with fewer
// copies than the operator wants at least goes first, whatever its value. Never
// dropped are the last copy on a node that is well, what the operator wants kept,
// and what came in the last ten minutes.
//
// GreedyDual-Size with frequency (P. Cao and S. Irani, 1997; L. Cherkasova, 1998)
// as a rule for many caches; choosing the best value per byte again and again
// comes within 1 - 1/e of the best choice there is.
//
// Use it where disks are too small for all that is wanted.
// Parameters: low, MiB, 0 to 10000000; floor, thousandths of a refetched second
// per hour and MiB, 1 to 1000000.
import { Header, Model, BAD_REQUEST, OK, MACHINE_PART, NONE, open, answer, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
import { MODELS, ROWS, survey, keepFree, visit, leave, placeFor, fetch, drop, maySpare, tally, planned, mebibytes } from "../copies";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const FETCHES: u32 = 16; // in one plan
const LARGE: u64 = 1 << 53; // seconds per hour: a thousand times that fits
const URGENT: u64 = u64.MAX_VALUE; // the value of a copy that the operator misses

let low: u64 = 10_240; // MiB
let floor: u64 = 300;

const coming: usize = memory.data(MODELS * 4, 4); // copies there are and will be
const worths: usize = memory.data(MODELS * 8, 8); // the value of one of those
const gains: usize = memory.data(MODELS * 8, 8); // the value of one more
const worst: usize = memory.data(ROWS * 4, 4); // by row: the copy to give up, counted from 1
const ENOUGH: u32 = NONE; // disk there
const CONSIDERED: u32 = 2048; // copies in one plan
const considered: usize = memory.data(CONSIDERED * 2, 2);

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) {
    if (isSetting("low")) low = setting(0, 10_000_000);
    if (isSetting("floor")) floor = setting(1, 1_000_000);
  }
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return MACHINE_PART; }

export function omx_replicate(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || !survey(h)) return answer(BAD_REQUEST);
  keepFree(2 * low);
  for (let m: u32 = 0; m < h.models; m++) {
    const model = h.modelAt(m), its = tally(m), copies = its.staying + model.moving;
    store<u32>(coming + (m << 2), copies);
    store<u64>(worths + (m << 3), value(model, copies));
    store<u64>(gains + (m << 3), its.whole == 0 ? 0 : gain(model, copies));
  }
  makeRoom(h);
  for (let i: u32 = 0; i < FETCHES; i++) {
    const m = best(h);
    if (m == NONE) break;
    add(h, m);
  }
  return answer(OK, planned());
}

/** The value of a model, in thousandths, as one of so many copies. */
@inline
function value(model: Model, copies: u32): u64 {
  return (min(<u64>model.demand1h * model.refetch, LARGE) * 1000) / mebibytes(model) / max(copies, 1);
}

/** The value of one copy more than there are; 0: it is not to be fetched. */
function gain(model: Model, copies: u32): u64 {
  if (copies < model.least) return URGENT;
  if ((model.most != 0 && copies >= model.most) || model.refetch == NONE) return 0;
  const v = value(model, copies + 1);
  return v < floor ? 0 : v;
}

/** The model of which a further copy is worth most. */
function best(h: Header): u32 {
  let m = NONE, most: u64 = 0;
  for (let i: u32 = 0; i < h.models; i++) {
    const v = load<u64>(gains + (i << 3));
    if (v > most) {
      most = v;
      m = i;
    }
  }
  return m;
}

/** Fetches a further copy of model m, if there is a place for it. */
function add(h: Header, m: u32): void {
  const model = h.modelAt(m), copies = load<u32>(coming + (m << 2)) + 1;
  visit(h, m);
  const row = placeFor(h, model);
  if (row != NONE) fetch(h, m, row, <u32>min<u64>(load<u64>(gains + (m << 3)), NONE));
  leave(h, m);
  store<u32>(coming + (m << 2), copies);
  store<u64>(gains + (m << 3), row == NONE ? 0 : gain(model, copies));
}

/** Has each node that is short of disk give up its copy of least value. */
function makeRoom(h: Header): void {
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    store<u32>(worst + (i << 2), r.machineAt != 0 && <u64>r.diskFree < low ? 0 : ENOUGH);
  }
  // First which copies come into question, beginning with another one each time.
  const copies = <u32>h.copies;
  let n: u32 = 0;
  for (let i: u32 = 0, at = copies == 0 ? 0 : <u32>(h.seed % copies); i < copies && n < CONSIDERED; i++, at++) {
    if (at == copies) at = 0;
    const node = <u32>h.copyAt(at).node;
    if (node >= h.count || load<u32>(worst + (node << 2)) == ENOUGH) continue;
    store<u16>(considered + (n++ << 1), <u16>at);
  }
  for (let i: u32 = 0; i < n; i++) {
    const c = <u32>load<u16>(considered + (i << 1)), copy = h.copyAt(c);
    if (copy.model >= h.models || !spare(h, copy.model) || !maySpare(h, copy)) continue;
    const at = worst + (<u32>copy.node << 2), other = load<u32>(at);
    if (other == 0 || worth(copy.model) < worth(h.copyAt(other - 1).model)) store<u32>(at, c + 1);
  }
  for (let i: u32 = 0; i < n; i++) {
    const node = <u32>h.copyAt(load<u16>(considered + (i << 1))).node, at = worst + (node << 2), c = load<u32>(at);
    if (c == 0) continue;
    store<u32>(at, 0);
    const m: u32 = h.copyAt(c - 1).model;
    if (!spare(h, m)) continue; // another node gives its copy up
    drop(h, m, node, 0);
    tally(m).well--;
  }
}

/** The model has copies to spare. */
@inline
function spare(h: Header, m: u32): bool { return tally(m).well > max(h.modelAt(m).least, 1); }

@inline
function worth(m: u32): u64 { return load<u64>(worths + (m << 3)); }
