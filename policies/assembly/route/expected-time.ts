// expected-time: send the request where its first words are expected first.
//
// Score, in µs, in whole numbers (division rounds down):
//
//   ahead   = min(sentSince + (queued + running, if load was ever sampled), MOST)
//   slots   = max(slots, 1)
//   step    = min(decode × (7 + min(ahead + 1, slots)) / 8, MOST)
//   prefill = min((prompt - min(prefix, prompt)) × prefill / 1000, MOST)
//   service = min(expectOut × step / slots + prefill, MOST)
//   wait    = ahead < slots ? 0 : min((ahead - slots + 1) × service, MOST)
//   load    = loaded ? 0 : LOAD
//   time    = min(rtt + wait + load + prefill + WORDS × step, MOST)
//   score   = min(time + time × 4 × min(errors, 1000) / 1000, MOST)
//
// where MOST is the largest score, the last step applies if errors were ever
// sampled, and figures never sampled take the values below. Draining and suspect
// nodes are left out.
//
// ahead adds what this node itself has sent since the load was sampled, so that
// nodes with the same stale figure do not all choose the same target (the herd
// of M. Mitzenmacher, "How Useful Is Old Information?", 2000). step is the time
// of one token when the batch is as full as it will be: each request beside it
// costs an eighth. wait is that of a queue whose slots all work, each request
// with a prompt like this one. The first WORDS tokens stand for how fast the
// answer can be read: counting all of them herds everything onto the fastest
// machines (in the simulator, a third of the goodput of this rule). A node that
// fails a quarter of its requests counts as twice as slow.
//
// The rule that decides when a policy fails (omx has it built in a second time),
// and what prefix-affinity builds on. An estimate of the time to the first token
// from queue, prompt and speed is how Mooncake (Qin et al., 2024) places requests.
//
// Use it where prompts have little in common; where they do, prefix-affinity.
import { Header, Row, MOST, BAD_REQUEST, SEEN_PART, open, lowest, answer, clamp } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

// Cautious, so that a known node is preferred to an unknown one of its kind.
const RTT: u64 = 50_000; // µs
const PREFILL: u64 = 1_000_000; // ns per prompt token: a small single-board computer
const DECODE: u64 = 100_000; // µs per output token
const LOAD: u64 = 5_000_000; // µs to load a model that is on disk only
const WORDS: u64 = 8; // tokens of an answer that count

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (r.usable) h.setScore(i, expectedTime(h, r));
  }
  return lowest(h);
}

@inline
function expectedTime(h: Header, r: Row): u32 {
  let prefill: u64 = PREFILL, decode: u64 = DECODE;
  if (r.speedAt != 0) {
    prefill = r.prefill;
    decode = r.decode;
  }
  let ahead: u64 = r.sentSince;
  if (r.loadAt != 0) ahead += <u64>r.queued + r.running;
  ahead = min(ahead, MOST);
  const slots: u64 = max(r.slots, 1);
  const step = min((decode * (7 + min(ahead + 1, slots))) / 8, MOST);
  prefill = min((<u64>(h.prompt - min(r.prefix, h.prompt)) * prefill) / 1000, MOST);

  let time: u64 = (r.rttAt == 0 ? RTT : r.rtt) + prefill + WORDS * step;
  if (ahead >= slots) time += min((ahead - slots + 1) * min((h.expectOut * step) / slots + prefill, MOST), MOST);
  if (!r.loaded) time += LOAD;
  time = min(time, MOST);
  if (r.errorsAt != 0 && r.errors != 0) time += (time * 4 * min(r.errors, 1000)) / 1000;
  return clamp(time);
}
