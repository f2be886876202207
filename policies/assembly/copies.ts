// What the replication policies have in common: who holds which model, where a
// further copy goes, which one can be given up, and the steps of the answer.
//
// A copy stays where it is as long as it is not one too many: nothing moves when
// a node joins. Where there is a choice, zones with the fewest copies of the
// model come first, then the zone and in it the node that rank first for the
// model by rendezvous hashing, so that all nodes come to the same plan.
import { Header, Model, Copy, Row, FETCH, DROP, ANY, DRAINING, SUSPECT, METERED_LINK, MAX_STEPS, COPY_HELD, MODEL_PINNED, STATE_PARTIAL, NONE, hash } from "../sdk/assemblyscript/omx";

export const MODELS: u32 = 1024; // what a view has room for, all three
const COPIES: u32 = 16384;
export const ROWS: u32 = 512;
const ZONES: u32 = 4096; // counted apart; of zones that share a counter, two pass for one
const LOOKS: u32 = 60_000; // rows looked at for places, with what else a change costs; the rest comes next time
const RESIDENCE: u32 = 600_000; // ms that a copy is left where it is
const METERED: u64 = 1 << 63;

// The copies of a model are a chain, and so are those that the plan adds; places
// in it are counted from 1, the plan's from COPIES + 1.
const next: usize = memory.data((COPIES + MAX_STEPS + 1) * 2, 2);
const holds: usize = memory.data(ROWS, 1); // of the model that is visited
const crowd: usize = memory.data(ZONES * 2, 2); // its copies by zone
const promised: usize = memory.data(ROWS * 4, 4); // MiB by row

let steps: u32 = 0, looks: u32 = 0;
let reserve: u64 = 1024; // MiB of disk that stay free

/** What copies a model has. */
@unmanaged
export class Tally {
  whole: u16; // all of it is there
  staying: u16; // of those, on nodes that do not drain
  well: u16; // of those, on nodes that have not just failed
  first: u16; // of the chain
}
const tallies: usize = memory.data(MODELS * 8, 8);

/** What copies model m has. */
@inline
export function tally(m: u32): Tally { return changetype<Tally>(tallies + (m << 3)); }

/** Begins a plan; false if the view is larger than any can be. */
export function survey(h: Header): bool {
  if (h.models > MODELS || h.copies > COPIES || h.count > ROWS) return false;
  steps = looks = changing = 0;
  memory.fill(tallies, 0, <u32>h.models << 3);
  memory.fill(promised, 0, h.count << 2);
  const models = <u32>h.models, rows = h.count, copies = <u32>h.copies, size = <u32>h.copyStride, rowSize = <u32>h.stride;
  const row0 = changetype<usize>(h) + h.header;
  let at = changetype<usize>(h) + h.copiesAt;
  // All of a tally is one number, to which a copy adds 1 in each part it counts for.
  for (let i: u32 = 1; i <= copies; i++, at += size) {
    const c = changetype<Copy>(at), m = <u32>c.model, node = <u32>c.node;
    if (m >= models || node >= rows) continue;
    const flags = changetype<Row>(row0 + node * rowSize).flags;
    const sum = load<u64>(tallies + (m << 3));
    const stays = <u64>((flags & DRAINING) == 0), isWell = <u64>((flags & (DRAINING | SUSPECT)) == 0);
    const one = c.state <= STATE_PARTIAL ? 0 : 1 | (stays << 16) | (isWell << 32);
    store<u16>(next + (i << 1), <u16>(sum >> 48));
    store<u64>(tallies + (m << 3), (sum & 0xffff_ffff_ffff) + one | (<u64>i << 48));
  }
  return true;
}

/** Sets how many MiB of disk a fetch leaves free. */
export function keepFree(mebibytes: u64): void { reserve = mebibytes; }

/** How many steps the plan has. */
export function planned(): u32 { return steps; }

/**
 * The model to begin with: another one each time, which gets every model its turn
 * when there is more to do than fits into one plan.
 */
export function beginning(h: Header): u32 { return h.models == 0 ? 0 : <u32>(h.seed % h.models); }

// Models that are to change are first noted and then changed, as each pass of a
// loop pays for all that is in it: those that are all right cost little.
const MISSING: u32 = 1 << 31;
const changes: usize = memory.data(MODELS * 4, 4);
let changing: u32 = 0;

/** Notes that model m shall have `want` copies; one is given up if there are more than `spare` beyond. */
@inline
export function keep(h: Header, m: u32, want: u32, spare: u32): void {
  const moving = h.modelAt(m).moving, its = tally(m);
  const missing = its.whole != 0 && its.staying + moving < want;
  if (!missing && (its.well <= max(want, 1) + spare || moving != 0)) return;
  store<u32>(changes + (changing++ << 2), m | (min(want, ROWS) << 10) | (missing ? MISSING : 0));
}

/** Plans what has been noted, and gives the number of steps. */
export function plan(h: Header): u32 {
  for (let i: u32 = 0; i < changing && looks < LOOKS; i++) {
    const change = load<u32>(changes + (i << 2)), m = change & (MODELS - 1), model = h.modelAt(m);
    visit(h, m);
    if ((change & MISSING) != 0) {
      const want = (change & ~MISSING) >> 10;
      for (let have = tally(m).staying + model.moving; have < want; have++) {
        const row = placeFor(h, model);
        if (row == NONE) break;
        fetch(h, m, row, ((want - have) << 10) | (1023 - min(model.rank, 1023)));
      }
    } else {
      const row = copyToDrop(h, m);
      if (row != NONE) drop(h, m, row, 0);
    }
    leave(h, m);
  }
  return steps;
}

/** Finds out who holds model m, and who is to fetch it; leave must follow. */
export function visit(h: Header, m: u32): void {
  for (let at: u32 = tally(m).first; at != 0; at = after(at)) {
    const node = rowOf(h, at);
    note(h.row(node), node);
    looks += 2;
  }
  looks += 10;
}

/** Forgets it. */
export function leave(h: Header, m: u32): void {
  for (let at: u32 = tally(m).first; at != 0; at = after(at)) {
    const node = rowOf(h, at);
    store<u8>(holds + node, 0);
    store<u16>(counter(h.row(node)), 0);
  }
}

function note(r: Row, row: u32): void {
  const zone = counter(r);
  store<u8>(holds + row, 1);
  store<u16>(zone, load<u16>(zone) + 1);
}

function link(m: u32, at: u32): void {
  const its = tally(m);
  store<u16>(next + (at << 1), its.first);
  its.first = <u16>at;
}

@inline
function rowOf(h: Header, at: u32): u32 { return at > COPIES ? h.step(at - 1 - COPIES).node : h.copyAt(at - 1).node; }

@inline
function after(at: u32): u32 { return load<u16>(next + (at << 1)); }

@inline
function counter(r: Row): usize { return crowd + (r.zone % ZONES << 1); }

/** The lower, the better a place for a copy of the model. */
function rank(model: Model, r: Row): u64 {
  const zone = hash(model.model, r.zone) >> 40, node = hash(model.model, r.node) >> 40;
  return (<u64>load<u16>(counter(r)) << 48) | (zone << 24) | node;
}

/**
 * The row of the best node with room for a further copy of the model that is visited;
 * NONE: there is none. A machine has none whose memory, as far as it is known, could
 * never hold the model.
 */
export function placeFor(h: Header, model: Model): u32 {
  if (steps == MAX_STEPS || looks > LOOKS) return NONE;
  looks += h.count;
  const bytes = mebibytes(model), size = bytes + reserve;
  let best = u64.MAX_VALUE, place = NONE;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable || r.machineAt == 0 || load<u8>(holds + i) != 0) continue;
    if (r.diskFree < size + load<u32>(promised + (i << 2))) continue;
    if (r.memTotal != 0 && <u64>r.memTotal + r.vramTotal < bytes) continue;
    let key = rank(model, r);
    if ((r.flags & METERED_LINK) != 0) key |= METERED;
    if (key < best) {
      best = key;
      place = i;
    }
  }
  return place;
}

/** The row of the copy of model m that is missed least; NONE: all have to stay. */
export function copyToDrop(h: Header, m: u32): u32 {
  const model = h.modelAt(m);
  if (steps == MAX_STEPS || tally(m).well < 2) return NONE;
  let worst: u64 = 0, row = NONE;
  for (let at: u32 = tally(m).first; at != 0; at = after(at)) {
    if (at > COPIES) continue;
    const c = h.copyAt(at - 1);
    if (!maySpare(h, c)) continue;
    const key = rank(model, h.row(c.node)) + 1;
    if (key > worst) {
      worst = key;
      row = c.node;
    }
  }
  return row;
}

/** Nothing but the number of copies forbids to give this one up. */
export function maySpare(h: Header, c: Copy): bool {
  if (c.state <= STATE_PARTIAL || ((h.modelAt(c.model).flags & MODEL_PINNED) | (c.flags & COPY_HELD)) != 0) return false;
  return h.row(c.node).usable && h.age(c.heldAt) >= RESIDENCE;
}

/** MiB of its file, rounded up. */
@inline
export function mebibytes(model: Model): u64 { return (model.bytes >> 20) + 1; }

/** Adds a fetch to the plan. */
export function fetch(h: Header, m: u32, row: u32, priority: u32): void {
  const at = promised + (row << 2);
  store<u32>(at, <u32>min<u64>(load<u32>(at) + mebibytes(h.modelAt(m)), u32.MAX_VALUE));
  note(h.row(row), row);
  link(m, COPIES + steps + 1);
  add(h, FETCH, m, row, priority);
}

/** Adds a drop to the plan. */
export function drop(h: Header, m: u32, row: u32, priority: u32): void { add(h, DROP, m, row, priority); }

function add(h: Header, op: u16, m: u32, row: u32, priority: u32): void {
  if (steps == MAX_STEPS) return;
  const s = h.step(steps++);
  s.op = op;
  s.model = <u16>m;
  s.node = <u16>row;
  s.source = ANY;
  s.priority = priority;
  s.budget = 0;
}
