// prefix-affinity: where the first words are expected first, and prompts that
// begin alike to the node that has that beginning cached, until it is saturated.
//
// Score, in µs:
//
//   uncached = prompt - prefix
//   step     = decode × (1000 + batch × min(ahead, slots - 1)) / 1000
//   reading  = (pending + (sentSince + 1) × uncached) × prefill / 1000
//   wait     = ahead < slots ? 0 : (ahead - slots + 1) × expectOut × step / slots
//   time     = rtt + ready + wait + reading + WORDS × step
//   score    = time + 4 × time × errors / 1000
//
// where ahead is queued + running + sentSince. The holder, the node with the
// longest cached prefix of those that have at least half of the prompt, gets a
// start before the others:
//
//   start = min(SATURATED, wantFirst / 2 if that is known, 2 × prefix × prefill)
//
// The rule is llm-d's "sticky until saturated" (2026): leave the holder when it
// has tau = R × T more prompt tokens to read than others, where R is what it
// reads per second and T how long a first token may take. Divided by R, which
// here differs from node to node by a factor of a thousand, this is a time, T;
// to compare the whole time keeps a slow holder from winning over a fast node
// that would have read everything before. What affinity saves is reading, by
// those who wait behind and by those whose prefix would be put out elsewhere, so
// it is not given more than twice that. To weigh saved reading against load is
// due to Preble (Srivatsa et al., 2024).
//
// pending counts because a processor reads one prompt after the other, and while
// it reads, a weak node writes nothing. For WORDS and what is assumed of figures
// never sampled, see expected-time. Draining and suspect nodes are left out.
//
// Use it for anything but special cases: it is the default.
// Parameter: saturated, ms, 0 to 600000.
import { Header, Row, MOST, NONE, BAD_REQUEST, SEEN_PART, open, lowest, answer, clamp, openSettings, nextSetting, isSetting, setting, closeSettings } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const SATURATED: u64 = 2_000; // ms
const RTT: u64 = 50_000; // µs
const PREFILL: u64 = 1_000_000; // ns per prompt token: a small single-board computer
const DECODE: u64 = 100_000; // µs per output token
const BATCH: u64 = 125; // per mille
const READY: u64 = 5_000_000; // µs to load a model from disk
const WORDS: u64 = 8; // tokens of an answer that count

let saturated: u64 = SATURATED * 1000; // µs

export function omx_init(text: usize, length: u32): u32 {
  openSettings(text, length);
  while (nextSetting()) if (isSetting("saturated")) saturated = <u64>setting(0, 600_000) * 1000;
  return closeSettings();
}

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  const half = max(h.prompt >> 1, 1);
  let holder = NONE, longest: u32 = 0;
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (!r.usable) continue;
    const score = expectedTime(h, r);
    h.setScore(i, score);
    const prefix = min(r.prefix, h.prompt);
    if (prefix >= half && (prefix > longest || (prefix == longest && score < h.score(holder)))) {
      holder = i;
      longest = prefix;
    }
  }
  if (holder != NONE) {
    const r = h.row(holder);
    let start = min(saturated, 2 * milli(<u64>longest * (r.speedAt != 0 ? <u64>r.prefill : PREFILL)));
    if (h.wantFirst != 0) start = min(start, <u64>h.wantFirst * 500);
    const score = <u64>h.score(holder);
    h.setScore(holder, score > start ? <u32>(score - start) : 0);
  }
  return lowest(h);
}

@inline
function expectedTime(h: Header, r: Row): u32 {
  let prefill = PREFILL, decode = DECODE, batch = BATCH;
  if (r.speedAt != 0) {
    prefill = r.prefill;
    decode = r.decode;
    if (r.batch != 0) batch = r.batch;
  }
  const slots: u64 = max(r.slots, 1);
  let ahead: u64 = r.sentSince, tokens = (ahead + 1) * (h.prompt - min(r.prefix, h.prompt));
  if (r.loadAt != 0) {
    ahead += <u64>r.queued + r.running;
    tokens += r.pending;
  }
  const step = decode + milli(decode * min(batch * min(ahead, slots - 1), MOST));
  let time = (r.rttAt == 0 ? RTT : r.rtt) + WORDS * step + milli(min(tokens, MOST) * prefill);
  if (ahead >= slots) time += min((ahead - slots + 1) * min((h.expectOut * min(step, MOST)) / slots, MOST), MOST);
  if (!r.loaded) time += r.ready != 0 ? <u64>r.ready * 1000 : READY;
  time = min(time, MOST);
  if (r.errorsAt != 0 && r.errors != 0) time += (time * 4 * min(r.errors, 1000)) / 1000;
  return clamp(time);
}

/** A thousandth, by multiplication: a division per row and figure is most of a decision. */
@inline
function milli(x: u64): u64 { return (min(x, MILLI_MOST) * 4_294_968) >> 32; }

const MILLI_MOST: u64 = 1 << 41; // beyond, the product would not fit
