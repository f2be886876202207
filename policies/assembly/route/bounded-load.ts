// bounded-load: requests of a conversation, or with prompts that begin alike, go
// to the same node as long as that has no more than its share of the load.
//
// Score: the row's rank for the key, by weighted rendezvous hashing,
//
//   -log2(hash(key, node) / 2^64) / slots
//
// where key is the affinity hash, else the conversation, else the request. A node
// that is at its cap comes behind all that are below theirs:
//
//   requests there >= ceil(1.25 × (requests in all + 1) × its slots / slots in all)
//
// D. Thaler and C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates"
// (1998): a node that leaves moves its own keys only, and every entry node finds
// the same one without being told. V. Mirrokni et al., "Consistent Hashing with
// Bounded Loads" (2016): with a cap of 1.25 times the mean, few requests pass on
// to the next. Draining and suspect nodes are left out, and requests to nodes
// whose load was never sampled are those that this node has sent.
//
// Use it where prefixes matter but nothing is known of what nodes have cached.
import { BAD_REQUEST, SEEN_PART, BEHIND, open, lowest, answer, hash } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const CAP: u64 = 5, OF: u64 = 4; // times the mean
const LARGE: u64 = 1 << 29; // sums above it are halved, which leaves their ratio

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  let all: u64 = 1, slotsInAll: u64 = 0;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    all += r.requests;
    slotsInAll += max(r.slots, 1);
  }
  while (max(all, slotsInAll) >= LARGE) {
    all >>= 1;
    slotsInAll = max<u64>(slotsInAll >> 1, 1);
  }
  const key = h.affinity != 0 ? h.affinity : h.session != 0 ? h.session : h.request;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const slots: u64 = max(r.slots, 1);
    const rank = <u32>((rarity(hash(key, r.node)) << 8) / slots);
    const full = min<u64>(r.requests, u32.MAX_VALUE) * OF * slotsInAll >= CAP * all * slots;
    h.setScore(i, full ? rank | BEHIND : rank);
  }
  return lowest(h);
}

/**
 * -log2(x / 2^64) in 1/65536, to a hundredth: between powers of two a parabola
 * stands in for the logarithm.
 */
@inline
function rarity(x: u64): u64 {
  const zeros = clz(x | 1);
  const f = ((x | 1) << (zeros + 1)) >> 48; // of 1/65536, behind the leading one
  return (zeros << 16) + 0x10000 - f - ((((f * (0x10000 - f)) >> 16) * 22541) >> 16);
}
