// What the admission policies have in common: where there is room for a request,
// and when to come back if there is none.
import { Header, Row, verdict, ALLOW, QUEUE, SHED } from "../sdk/assemblyscript/omx";

// Reasons.
export const FULL: u32 = 1; // no slot anywhere, and enough wait already
export const BUSY: u32 = 2; // no slot here; another node may have one
export const LATE: u32 = 3; // it would come too late
export const TENANT: u32 = 4; // this tenant has had its share
export const LOW: u32 = 5; // more important requests need the room

const TRIES: u32 = 8; // nodes that a request is tried at, at most
const WAITING: u64 = 2; // requests that may wait per slot
const DECODE: u64 = 100_000; // µs per output token, if never measured

/** Requests here take all slots. */
@inline
export function busy(r: Row): bool { return r.requests >= r.slots; }

/** Nodes with the model have no free slot, by their last word. */
@inline
export function saturated(h: Header): bool { return h.saturation >= 1000; }

/**
 * A peer's request is let in if a slot is free here. If none is, it is sent back
 * at once, as long as the peer has other nodes to try; only when there is none,
 * or those are busy as well, may it wait, for a place in the queue. A client of this node is sent away when
 * the queues of all nodes are full, and not because this one is busy.
 */
@inline
export function gate(h: Header, r: Row): u64 {
  if (h.fromPeer) {
    if (r.loadAt == 0 || r.slots == 0 || !busy(r)) return verdict(ALLOW);
    if (!saturated(h) && h.attempt + 1 < min(h.replicas, TRIES)) return verdict(SHED, BUSY, 1);
    return queue(h, r, r.requests + 1 - r.slots, r.slots);
  }
  return saturated(h) ? queue(h, r, <u64>h.saturation + 1 - 1000, 1000) : verdict(ALLOW);
}

/** It waits behind so many requests in so many slots, if it is in time for that and not too many wait. */
function queue(h: Header, r: Row, waiting: u64, slots: u64): u64 {
  if (waiting > WAITING * slots) return verdict(SHED, FULL, comeBack(h, r));
  const late = h.deadline != 0 && (waiting * tenths(h, r) * 100) / slots > <u64>h.deadline;
  return late ? verdict(SHED, LATE, comeBack(h, r)) : verdict(QUEUE);
}

/** Tenths of a second that a request takes: then a place is free. */
@inline
function tenths(h: Header, r: Row): u64 {
  return (<u64>h.expectOut * (r.speedAt == 0 ? DECODE : r.decode)) / 100_000;
}

/** The same as a wait that one can ask a client for: 1 s to 30 s. */
@inline
export function comeBack(h: Header, r: Row): u32 { return <u32>min(max(tenths(h, r), 10), 300); }
