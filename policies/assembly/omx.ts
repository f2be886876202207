// The omx policy SDK for AssemblyScript: what a policy sees, field by field, and
// helpers to answer. ../ABI.md explains the interface; ../abi is the host's side.
//
// A routing policy gives every row a score, lower is better, and answers with
// the lowest:
//
//   import { open, row, setScore, lowest, answer, BAD_REQUEST, NEVER } from "./omx";
//   export { omx_abi, omx_buf } from "./omx";
//
//   export function omx_route(view: usize, length: u32): u64 {
//     const h = open(view, length);
//     if (h == null) return answer(BAD_REQUEST);
//     for (let i: u32 = 0; i < h.count; i++) {
//       const r = row(h, i);
//       setScore(h, i, r.usable ? r.rtt : NEVER);
//     }
//     return lowest(h);
//   }

/** The version of the interface this file describes: major << 16 | minor. */
export const VERSION: u32 = 1 << 16;
/** "OMX1", with which a view begins. */
export const MAGIC: u32 = 0x31584d4f;

// Kinds of decision.
export const ADMIT: u16 = 1;
export const ROUTE: u16 = 2;

// Status: how a decision ended.
export const OK: u32 = 0;
export const BAD_REQUEST: u32 = 1; // the view cannot be read
export const NO_CANDIDATE: u32 = 2; // nobody should serve this
export const ABSTAIN: u32 = 3; // no opinion: the built-in rule decides
export const UNSUPPORTED: u32 = 4; // this kind is not decided here

// Actions of admission.
export const ALLOW: u32 = 0; // now
export const QUEUE: u32 = 1; // when a slot is free
export const SHED: u32 = 2; // come back after the wait
export const REJECT: u32 = 3; // never

/** As an age: the figure beside it was never sampled. As a row index: none. */
export const NONE: u32 = u32.MAX_VALUE;
/** The score that keeps a row out of the picks. */
export const NEVER: u32 = u32.MAX_VALUE;

// Request flags.
export const STREAMED: u32 = 1; // the client reads tokens as they come
export const FROM_PEER: u32 = 2; // another node sent it here
export const ESTIMATED: u32 = 4; // the prompt token count is an estimate

// Row flags.
export const SELF: u32 = 1; // this node
export const LOADED: u32 = 2; // the model answers now; without it, it must be loaded first
export const DRAINING: u32 = 4; // takes no new requests
export const SUSPECT: u32 = 8; // may be gone
export const RELAYED: u32 = 16; // reached through a third node

/** The request. Never constructed: it lies in the view. */
@unmanaged
export class Header {
  magic: u32;
  minor: u16;
  kind: u16;
  count: u32; // rows
  stride: u16; // bytes per row: may be more than a Row has here
  header: u16; // bytes of header: may be more than a Header has here
  scores: u32; // offset of the scores
  ext: u32; // offset of the extension, 0 none
  extLen: u32; // bytes
  length: u32; // bytes of the whole view
  now: u64; // µs
  seed: u64; // for tie breaks and sampling
  request: u64; // id
  model: u64; // handle
  tenant: u64; // handle, 0 anonymous
  prompt: u32; // tokens
  maxOut: u32; // tokens asked for at most
  expectOut: u32; // tokens expected
  priority: i32; // below 0 may be shed first
  deadline: u32; // ms left, 0 none
  flags: u32;
  attempt: u32; // earlier tries of this request
  hops: u32; // nodes it has passed
  selfRow: u32; // row of this node, NONE if it is no candidate
  reserved: u32;
}

/** One candidate, or this node. Never constructed: it lies in the view. */
@unmanaged
export class Row {
  node: u64; // handle
  flags: u32;
  rtt: u32; // µs
  rttAge: u32; // ms
  queued: u32; // requests
  running: u32; // requests
  slots: u32; // requests
  loadAge: u32; // ms
  sentSince: u32; // requests this node sent there after that sample, not ended yet
  inFlight: u32; // requests of this node there now
  prefill: u32; // ns per prompt token
  decode: u32; // µs per output token
  speedAge: u32; // ms
  prefix: u32; // prompt tokens already cached there
  errors: u32; // failures per thousand requests of this node there
  errorsAge: u32; // ms
  memFree: u32; // MiB
  memFreeAge: u32; // ms
  zone: u32;

  /** The model answers now. */
  @inline get loaded(): bool { return (this.flags & LOADED) != 0; }
  /** Neither draining nor suspect. */
  @inline get usable(): bool { return (this.flags & (DRAINING | SUSPECT)) == 0; }
}

// Room for the largest view: 112 + 4096 × (80 + 4) bytes. One area serves every
// kind, as a policy is called for one decision at a time.
const ROOM: u32 = 112 + 4096 * 84;
const area: usize = memory.data(ROOM, 64);

export function omx_abi(): u32 { return VERSION; }

export function omx_buf(kind: u32, rows: u32): usize { return rows <= 4096 ? area : 0; }

/** The header of a view, or null if this is none. */
@inline
export function open(view: usize, length: u32): Header | null {
  if (length < offsetof<Header>()) return null;
  const h = changetype<Header>(view);
  const rows = <u64>h.count * (<u64>h.stride + 4) + <u64>h.header;
  return h.magic == MAGIC && h.stride >= <u16>offsetof<Row>() && rows <= <u64>length ? h : null;
}

/** Row i of a view. Only rows below h.count are there. */
@inline
export function row(h: Header, i: u32): Row {
  return changetype<Row>(changetype<usize>(h) + h.header + i * <u32>h.stride);
}

/** Writes the score of row i. */
@inline
export function setScore(h: Header, i: u32, score: u32): void {
  store<u32>(changetype<usize>(h) + h.scores + (i << 2), score);
}

/** An answer: a status and, with OK, a row index or a verdict. */
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

/** Answers with the row of the lowest score; of equal ones the first, of none but NEVER no candidate. */
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

/** The largest score a row can have and still be picked. */
export const MOST: u64 = NEVER - 1;

/** A 64-bit sum as a score. */
@inline
export function clamp(score: u64): u32 { return <u32>min(score, MOST); }
