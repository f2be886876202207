// The omx policy SDK for AssemblyScript: what a policy sees, field by field, and
// helpers to answer. ABI.md, which comes with omx, explains the interface.
//
// A routing policy gives every row a score, lower is better, and answers with
// the lowest:
//
//   import { open, lowest, answer, BAD_REQUEST, NEVER } from "./omx";
//   export { omx_abi, omx_buf } from "./omx";
//
//   export function omx_route(view: usize, length: u32): u64 {
//     const h = open(view, length);
//     if (h == null) return answer(BAD_REQUEST);
//     for (let i: u32 = 0; i < h.count; i++) {
//       const r = h.row(i);
//       h.setScore(i, r.usable ? r.rtt : NEVER);
//     }
//     return lowest(h);
//   }

// generated: begin assemblyscript

/** The version of the interface this file describes: major << 16 | minor. */
export const VERSION: u32 = 1 << 16 | 0;

// Kind: which decision is asked for.
export const ADMIT: u16 = 1; // may this request in; one row: this node
export const ROUTE: u16 = 2; // which node serves it; a row per candidate
export const REPLICATE: u16 = 3; // which node keeps which model; a row per node

// Status: how a decision ended.
export const OK: u32 = 0; // the value is the answer
export const BAD_REQUEST: u32 = 1; // the view cannot be read; the built-in rule decides
export const NO_CANDIDATE: u32 = 2; // nobody should serve this
export const ABSTAIN: u32 = 3; // no opinion: the built-in rule decides
export const UNSUPPORTED: u32 = 4; // this kind is not decided here; the built-in rule decides

// Action: what admission says.
export const ALLOW: u32 = 0; // now
export const QUEUE: u32 = 1; // when a slot is free
export const SHED: u32 = 2; // later: come back after the wait
export const REJECT: u32 = 3; // never

// Op: what replication wants done.
export const FETCH: u16 = 1; // the node gets a copy of the model
export const DROP: u16 = 2; // the node gives its copy up
export const LOAD: u16 = 3; // the node makes the model answer, before anybody asks
export const UNLOAD: u16 = 4; // the node keeps the file but frees its memory

// Event: what happened.
export const EVENT_DISPATCHED: u16 = 1; // a request was sent to a node
export const EVENT_FIRST: u16 = 2; // its first token came
export const EVENT_DONE: u16 = 3; // it ended well
export const EVENT_FAILED: u16 = 4; // the node broke it off
export const EVENT_PROBED: u16 = 5; // a node answered a probe
export const EVENT_JOINED: u16 = 6; // a node came up
export const EVENT_LEFT: u16 = 7; // a node went away
export const EVENT_TICK: u16 = 8; // a second has passed
export const EVENT_ADMITTED: u16 = 9; // a request was let in
export const EVENT_REFUSED: u16 = 10; // a request was shed or rejected

// State: of a copy of a model.
export const STATE_PARTIAL: u32 = 1; // some of it is there
export const STATE_ON_DISK: u32 = 2; // all of it is there
export const STATE_LOADING: u32 = 3; // it is being loaded
export const STATE_LOADED: u32 = 4; // it answers

// Tag: of an item of the extension.
export const TAG_MODEL_NAME: u32 = 1; // text
export const TAG_TENANT_NAME: u32 = 2; // text
export const TAG_LABEL: u32 = 3; // text, key=value, of the request
export const TAG_NODE_LABEL: u32 = 4; // u32 row, then text key=value
export const TAG_ZONE: u32 = 5; // u32 zone in which the request must stay
export const TAG_EXCLUDED: u32 = 6; // u64 handle of a node that must not serve it
export const TAG_PREFIX_BLOCKS: u32 = 7; // per block of the prompt, in order: u64 hash of all up to its end, u32 tokens of it
export const TAG_ALTERNATE: u32 = 8; // u64 handle of a model that would do as well
export const TAG_ADAPTER: u32 = 9; // u64 handle of the adapter asked for

// Flags of a request.
export const STREAMED: u32 = 1; // the client reads tokens as they come
export const FROM_PEER: u32 = 2; // another node sent it here
export const ESTIMATED: u32 = 4; // the prompt token count is an estimate

// Flags of a node.
export const SELF: u32 = 1; // this node
export const LOADED: u32 = 2; // the model answers now; without it, it must be loaded first
export const DRAINING: u32 = 4; // takes no new requests; the host never sends one there, whatever the policy says
export const SUSPECT: u32 = 8; // a request there has just failed
export const RELAYED: u32 = 16; // reached through a third node
export const STORED: u32 = 32; // the model is on its disk
export const LOADING: u32 = 64; // the model is being loaded there
export const EXACT_PREFIX: u32 = 128; // the prefix figure is the node's own and no estimate
export const METERED_LINK: u32 = 256; // traffic to it costs money

// Flags of a model.
export const MODEL_PINNED: u32 = 1; // the operator wants it kept
export const MODEL_HERE: u32 = 2; // this node holds a copy

// Flags of a copy of a model.
export const COPY_VERIFIED: u32 = 1; // its digest was checked
export const COPY_HELD: u32 = 2; // the operator wants it kept there

/** The request, and what is known of the mesh around it. It lies in a view and is never constructed. */
@unmanaged
export class HeaderFields {
  magic: u32; // `OMX1`, 0x31584d4f
  minor: u16; // minor version of the host
  kind: u16; // 1 admit, 2 route, 3 replicate
  count: u32; // rows
  stride: u16; // bytes per row
  header: u16; // bytes of this header: where the rows start
  scores: u32; // bytes from the view's start to where the policy writes: a score per row (route), actions (replicate)
  ext: u32; // bytes from the view's start to the extension; 0 none
  extLen: u32; // bytes of the extension
  length: u32; // bytes of the whole view
  now: u64; // µs; the host's clock, of no fixed start
  seed: u64; // for tie breaks and sampling
  request: u64; // request id
  model: u64; // model handle
  tenant: u64; // tenant handle; 0 anonymous
  session: u64; // conversation handle; 0 none
  affinity: u64; // hash of the prompt's beginning, keyed per tenant; 0 none
  previous: u64; // handle of the node that answered the conversation last; 0 none
  entry: u64; // handle of the node whose client asked
  peer: u64; // handle of the node that sent it here; 0 a client of this node
  clock: u32; // ms; now on the clock of all fields named …At, which wraps after 49 days
  viewAt: u32; // ms; when this picture of the mesh was put together
  prompt: u32; // prompt tokens
  maxOut: u32; // most output tokens asked for; 0 unknown
  expectOut: u32; // output tokens expected
  spreadOut: u32; // standard deviation of that; 0 unknown
  priority: i32; // below 0 may be shed first
  class: u32; // class of service, as the operator numbers them
  deadline: u32; // ms left; 0 none
  wantFirst: u32; // ms to the first token that are wanted; 0 none
  wantEach: u32; // µs per output token that are wanted; 0 none
  flags: u32; // of the request
  attempt: u32; // earlier tries of this request
  hops: u32; // nodes it has passed
  selfRow: u32; // row of this node; 0xffffffff if it is no candidate
  turn: u32; // turn of the conversation; 0 unknown
  clientRTT: u32; // µs; 0 unknown
  nodes: u32; // nodes known, up or not
  nodesUp: u32; // nodes that are up
  skew: u32; // ms by which clocks of nodes may differ; 0 unknown
  demand1m: u32; // requests per hour for this model at this node, over about a minute
  demand10m: u32; // the same over ten minutes
  demand1h: u32; // the same over an hour
  replicas: u32; // nodes that are up and hold the model
  saturation: u32; // per mille of the slots of those nodes that are taken, by their last word
  queueTokens: u32; // prompt tokens that wait at this node
  queueOldest: u32; // ms that the oldest waiting request has waited at this node
  tenants: u32; // tenants with a request at this node
  tenantInFlight: u32; // requests of this tenant at this node
  tenantTokens: u32; // tokens this tenant used at this node, over about a minute
  offered: u32; // requests that asked to be admitted here in the last ten seconds or so
  admitted: u32; // those of them that were
  modelsAt: u32; // bytes from the view's start to the models (replicate)
  models: u16; // how many
  modelStride: u16; // bytes per model
  copiesAt: u32; // bytes from the view's start to the copies (replicate)
  copies: u16; // how many
  copyStride: u16; // bytes per copy
}

/** A node. It lies in a view and is never constructed. */
@unmanaged
export class RowFields {
  node: u64; // handle
  flags: u32; // of the node
  slots: u32; // requests it serves at a time
  queued: u32; // requests waiting there
  running: u32; // requests being served there
  loadAt: u32; // ms; when slots, queued, running and pending were sampled; 0 never
  pending: u32; // prompt tokens that wait there or are being read
  prefill: u32; // ns per prompt token
  decode: u32; // µs per output token of a request that is alone
  speedAt: u32; // ms; when prefill, decode and batch were measured; 0 never
  rtt: u32; // µs of round trip
  rttAt: u32; // ms; 0 never
  batch: u32; // per mille of decode by which a token takes longer for each further request
  ready: u32; // ms until the model answers there; 0 at once
  zone: u32; // failure domain
  sentSince: u32; // requests sent there after loadAt that have not ended
  inFlight: u32; // requests of this node there now
  inFlightTokens: u32; // prompt and expected output tokens of those
  usedAt: u32; // ms; when a request was last sent there; 0 never
  errors: u32; // failures per thousand requests
  errorsAt: u32; // ms; when the last request ended; 0 never
  first: u32; // µs to the first token, moving average
  firstPeak: u32; // µs, the same that rises at once and sinks over some ten seconds
  firstAt: u32; // ms; 0 never
  each: u32; // µs per output token, moving average
  done: u32; // requests that ended well
  prefix: u32; // prompt tokens of this request cached there
  prefixAt: u32; // ms; when that was known; 0 never
  rif: u32; // requests in flight there by its freshest word
  rifFirst: u32; // µs to the first token seen at about as many in flight; 0 unknown
  rifAt: u32; // ms; 0 never
  memFree: u32; // MiB
  memTotal: u32; // MiB
  vramFree: u32; // MiB
  vramTotal: u32; // MiB
  diskFree: u32; // MiB
  machineAt: u32; // ms; when these were sampled; 0 never
  up: u32; // kbit/s it sends
  down: u32; // kbit/s it receives
  linkAt: u32; // ms; when those were measured; 0 never
  loss: u32; // lost packets per million
  rttMin: u32; // µs, shortest round trip of late
  rttHigh: u32; // µs, 95 of 100 round trips are shorter
  device: u32; // handle of its kind of machine; 0 unknown
  power: u32; // mW; 0 unknown
  throttle: u32; // per mille of speed lost to heat
  battery: u32; // per mille; 0xffffffff none
  coordX: i32; // µs, network coordinate
  coordY: i32; // µs
  coordHeight: u32; // µs
  coordError: u32; // per mille; 0 unknown
  joinedAt: u32; // ms; when it was first heard of; 0 unknown
  upAt: u32; // ms; since when it has been up; 0 unknown
  availability: u32; // per million of the time it is up; 0 unknown
  reputation: u32; // per mille of its promises kept; 0 unknown
  region: u32; // as the operator numbers them
  site: u32; // as the operator numbers them
  asn: u32; // autonomous system; 0 unknown
  trust: u32; // tier, as the operator numbers them
  context: u32; // tokens that a slot holds; 0 unknown
  contextUsed: u32; // tokens held in all slots
  energy: u32; // µJ per output token; 0 unknown
  price: u32; // millionths per thousand tokens; 0 unknown
}

/** A model (replicate). It lies in a view and is never constructed. */
@unmanaged
export class Model {
  model: u64; // handle
  bytes: u64; // of its file
  flags: u32; // of the model
  copies: u32; // nodes that are up and hold all of it
  zones: u32; // failure domains those are in
  least: u32; // copies the operator wants at least
  most: u32; // copies the operator wants at most; 0 any number
  moving: u32; // transfers under way
  demand1m: u32; // requests per hour in the mesh as far as this node knows, over about a minute
  demand10m: u32; // the same over ten minutes
  demand1h: u32; // the same over an hour
  rank: u32; // by demand over an hour, the most wanted is 0
  refetch: u32; // s to get a copy from the best holder to this node; 0xffffffff nobody has it
  usedAt: u32; // ms; when it was last asked for; 0 never
}

/** A copy of a model at a node (replicate). It lies in a view and is never constructed. */
@unmanaged
export class Copy {
  model: u16; // which, by its place in the models
  node: u16; // which, by its row
  state: u32; // of the copy
  part: u32; // per mille of its bytes that are there
  heldAt: u32; // ms; since when; 0 unknown
  usedAt: u32; // ms; when it last answered; 0 never
  flags: u32; // of the copy
}

/** One action that replication answers with. It lies in a view and is never constructed. */
@unmanaged
export class Step {
  op: u16; // what to do
  model: u16; // which, by its place in the models
  node: u16; // where, by its row
  source: u16; // row of the node to fetch from; 0xffff any
  priority: u32; // higher goes first
  budget: u32; // kbit/s it may take; 0 as the operator allows
}

/** What happened; handed to omx_event. It lies in a view and is never constructed. */
@unmanaged
export class Event {
  kind: u16; // what happened
  flags: u16; // of the request
  clock: u32; // ms; now on the clock of all fields named …At
  now: u64; // µs
  request: u64; // request id; 0 none
  node: u64; // handle; 0 none
  model: u64; // handle; 0 none
  tenant: u64; // handle; 0 anonymous
  session: u64; // conversation handle; 0 none
  prompt: u32; // prompt tokens
  output: u32; // output tokens so far
  first: u32; // µs to the first token; 0 none yet
  took: u32; // µs so far
  rif: u32; // requests in flight at the node when it began this one, or that a probe told
  latency: u32; // µs: of a probe, what a request there takes to its first token
  reason: u32; // of a refusal: the policy's code
  reserved: u32; // 0
}
// generated: end

/** "OMX1", with which a view begins. */
export const MAGIC: u32 = 0x31584d4f;
/** As a figure or a row index: none. */
export const NONE: u32 = u32.MAX_VALUE;
/** The score that keeps a row out of the picks. */
export const NEVER: u32 = u32.MAX_VALUE;
/** The largest score a row can have and still be picked. */
export const MOST: u64 = NEVER - 1;
/** As the source of a step: any node that holds the model. */
export const ANY: u16 = u16.MAX_VALUE;
/** Steps there is room for in a replication answer. */
export const MAX_STEPS: u32 = 256;

/** How much a policy reads of each row: what its omx_wants returns. */
export const LOAD_PART: u64 = 64;
export const SEEN_PART: u64 = 128; // and what comes before
export const MACHINE_PART: u64 = 192;
export const STANDING_PART: u64 = 256;

/** What omx_wants adds for each tag of the extension it wants. */
@inline
export function wantsTag(tag: u32): u64 { return <u64>1 << (32 + tag); }

/** The header of a view, and the way to all that is in it. */
@unmanaged
export class Header extends HeaderFields {
  /** Row i of those below count. */
  @inline row(i: u32): Row { return changetype<Row>(changetype<usize>(this) + this.header + i * <u32>this.stride); }

  /** Writes the score of row i. */
  @inline setScore(i: u32, score: u32): void { store<u32>(changetype<usize>(this) + this.scores + (i << 2), score); }

  /** The score of row i as it stands; before it is set, NEVER. */
  @inline score(i: u32): u32 { return load<u32>(changetype<usize>(this) + this.scores + (i << 2)); }

  /** Model i of those below models, of a replicate view. */
  @inline modelAt(i: u32): Model { return changetype<Model>(changetype<usize>(this) + this.modelsAt + i * <u32>this.modelStride); }

  /** Copy i of those below copies, of a replicate view. */
  @inline copyAt(i: u32): Copy { return changetype<Copy>(changetype<usize>(this) + this.copiesAt + i * <u32>this.copyStride); }

  /** Step i of those below MAX_STEPS, to be filled in as the answer to a replicate view. */
  @inline step(i: u32): Step { return changetype<Step>(changetype<usize>(this) + this.scores + i * offsetof<Step>()); }

  /**
   * The next item of the extension with this tag after `item`, 0 to begin with; 0
   * if there is none. Its value lies 4 bytes behind, itemLength bytes long.
   */
  item(tag: u32, item: usize = 0): usize {
    const begin = changetype<usize>(this) + this.ext, end = begin + (this.ext == 0 ? 0 : this.extLen);
    let at = item == 0 ? begin : item + 4 + ((itemLength(item) + 3) & ~3);
    for (; at + 4 <= end; at += 4 + ((itemLength(at) + 3) & ~3)) {
      if (load<u16>(at) == tag && at + 4 + itemLength(at) <= end) return at;
    }
    return 0;
  }

  /** Milliseconds since the moment that a field named …At gives; NONE if it is 0: never. */
  @inline age(at: u32): u32 { return at == 0 ? NONE : this.clock - at; }

  /** Another node sent the request here. */
  @inline get fromPeer(): bool { return (this.flags & FROM_PEER) != 0; }
}

/** A node. */
@unmanaged
export class Row extends RowFields {
  /** The model answers now. */
  @inline get loaded(): bool { return (this.flags & LOADED) != 0; }
  /** Neither draining nor suspect. */
  @inline get usable(): bool { return (this.flags & (DRAINING | SUSPECT)) == 0; }
  /** Requests there: by its own word, and sent by this node since. */
  @inline get requests(): u64 { return <u64>this.sentSince + <u64>this.queued + <u64>this.running; }
}

// Room for a view of 64 whole rows with all else. Larger views, and parameters
// of more than a page of text, lie in memory that is grown when they first come.
const VIEW_ROOM: u32 = 32 << 10;
const EVENT_ROOM: u32 = 4 << 10;
let views: usize = memory.data(VIEW_ROOM, 64), viewRoom: u32 = VIEW_ROOM;
let events: usize = memory.data(EVENT_ROOM, 64), eventRoom: u32 = EVENT_ROOM;

export function omx_abi(): u32 { return VERSION; }

/**
 * One area serves every kind of view, as a policy is called for one decision at a
 * time; events and parameters have their own.
 */
export function omx_buf(kind: u32, bytes: u32): usize {
  if (kind == 0) {
    if (bytes > eventRoom) {
      const at = grow(events, eventRoom, bytes);
      if (at == 0) return 0;
      events = at;
      eventRoom = bytes;
    }
    return events;
  }
  if (bytes > viewRoom) {
    const at = grow(views, viewRoom, bytes);
    if (at == 0) return 0;
    views = at;
    viewRoom = bytes;
  }
  return views;
}

/** A larger area than that of `room` bytes at `at`: the same, if it is the last of memory. 0: there is none. */
function grow(at: usize, room: u32, bytes: u32): usize {
  const end = <usize>memory.size() << 16;
  const from = at + room == end ? at : end;
  const more = <u64>from + bytes - end;
  return memory.grow(<i32>((more + 0xffff) >> 16)) < 0 ? 0 : from;
}

/** The header of a view, or null if this is none. */
@inline
export function open(view: usize, length: u32): Header | null {
  if (length < offsetof<HeaderFields>()) return null;
  const h = changetype<Header>(view);
  const rows = <u64>h.count * (<u64>h.stride + 4) + <u64>h.header;
  return h.magic == MAGIC && (h.kind == REPLICATE || rows <= <u64>length) ? h : null;
}

/** Bytes of the value of an item. */
@inline
export function itemLength(item: usize): u32 { return load<u16>(item, 2); }

/** The event that omx_event gets. */
@inline
export function openEvent(at: usize): Event { return changetype<Event>(at); }

/** An answer: a status and, with OK, a row index, a verdict or a number of steps. */
@inline
export function answer(status: u32, value: u32 = 0): u64 { return (<u64>status << 32) | value; }

/**
 * An admission answer: an action, the policy's own reason code (below 256) and,
 * with SHED, the wait in tenths of a second (below 65536).
 */
@inline
export function verdict(action: u32, reason: u32 = 0, wait: u32 = 0): u64 {
  return answer(OK, action | (reason << 8) | (wait << 16));
}

/** Answers with the row of the lowest score; of equal ones the first; no candidate if there is only NEVER. */
@inline
export function lowest(h: Header): u64 {
  const scores = changetype<usize>(h) + h.scores, n = h.count;
  let best = NEVER, pick = NONE;
  for (let i: u32 = 0; i < n; i++) {
    const score = load<u32>(scores + (i << 2));
    if (score < best) {
      best = score;
      pick = i;
    }
  }
  return pick == NONE ? answer(NO_CANDIDATE) : answer(OK, pick);
}

/** Added to a score below it, this ranks a row behind all that have none of it. */
export const BEHIND: u32 = 1 << 31;

/**
 * Power of two choices: draws two of the rows that have a score, which must be
 * below BEHIND / 2, and ranks the others behind them. Of two equal ones the first
 * drawn comes first.
 */
export function preferTwo(h: Header): void {
  const count = h.count;
  let n: u32 = 0;
  for (let i: u32 = 0; i < count; i++) n += <u32>(h.score(i) != NEVER);
  let first: u32 = 0, second: u32 = 1;
  if (n > 1) {
    first = draw(h.seed, 1, n);
    second = draw(h.seed, 2, n - 1);
    if (second >= first) second++;
  }
  n = 0;
  for (let i: u32 = 0; i < count; i++) {
    const score = h.score(i);
    if (score == NEVER) continue;
    h.setScore(i, n == first ? score << 1 : n == second ? (score << 1) | 1 : (score << 1) | BEHIND);
    n++;
  }
}

/** A 64-bit sum as a score. */
@inline
export function clamp(score: u64): u32 { return <u32>min(score, MOST); }

/** A well-mixed 64-bit hash of two numbers, for tie breaks and rendezvous (the mixer of SplitMix64). */
@inline
export function hash(a: u64, b: u64): u64 {
  let x = a ^ (b * 0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/** The i-th number that a seed draws, below n. */
@inline
export function draw(seed: u64, i: u64, n: u32): u32 { return <u32>(((hash(seed, i) >> 32) * n) >> 32); }

// The operator's parameters, as omx_init gets them: lines of key=value, where
// values are whole numbers.
//
//   export function omx_init(text: usize, length: u32): u32 {
//     openSettings(text, length);
//     while (nextSetting()) if (isSetting("rate")) rate = setting(1, 1_000_000);
//     return closeSettings();
//   }
let line: usize = 0, lineEnd: usize = 0, settingsEnd: usize = 0;
let lineNumber: u32 = 0, badLine: u32 = 0, taken = true;

/** Begins reading parameters. */
export function openSettings(text: usize, length: u32): void {
  lineEnd = text;
  settingsEnd = text + length;
  lineNumber = badLine = 0;
  taken = true;
}

/** Goes to the next parameter, if there is one. */
export function nextSetting(): bool {
  if (!taken && badLine == 0) badLine = lineNumber;
  for (line = lineEnd; line < settingsEnd; line = lineEnd) {
    lineEnd = line;
    while (lineEnd < settingsEnd && load<u8>(lineEnd++) != 10) {}
    lineNumber++;
    if (load<u8>(line) > 32) {
      taken = false;
      return true;
    }
  }
  taken = true;
  return false;
}

/** The parameter has this name. */
export function isSetting(name: string): bool {
  const n = <u32>name.length;
  if (line + n >= lineEnd || load<u8>(line + n) != 0x3d) return false;
  for (let i: u32 = 0; i < n; i++) {
    if (load<u8>(line + i) != <u8>load<u16>(changetype<usize>(name) + (i << 1))) return false;
  }
  taken = true;
  line += n + 1;
  return true;
}

/** The parameter's value, which must lie between the bounds. */
export function setting(least: u32, most: u32): u32 {
  let value: u64 = 0, digits = false;
  for (; line < lineEnd; line++) {
    const c = <u32>load<u8>(line);
    if (c <= 32) continue; // the end of the line
    digits = c - 0x30 < 10;
    if (!digits || value > u32.MAX_VALUE) break;
    value = value * 10 + c - 0x30;
  }
  if ((!digits || value < least || value > most) && badLine == 0) badLine = lineNumber;
  return <u32>value;
}

/** What omx_init returns: 0 if every parameter was known and within its bounds, else the first line that was not. */
export function closeSettings(): u32 { return badLine; }

/** Writes a line of UTF-8 text to the host's log: level 0 debug to 3 error. */
@external("omx1", "log")
export declare function log(level: u32, text: usize, length: u32): void;

/** Adds to a counter of this policy's, of those that the host shows by number. */
@external("omx1", "count")
export declare function count(id: u32, delta: i64): void;
