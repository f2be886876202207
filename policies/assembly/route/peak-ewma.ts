// peak-ewma: of two nodes drawn at random, the one expected to be quicker by what
// this node has seen of it lately.
//
//   peak  = first + (firstPeak - first) × (10 s - its age) / 10 s
//   cost  = max(peak, reading) × (slots + inFlight) / slots
//
// peak is the time to the first token, which jumps up with each slow answer and
// sinks to the mean in ten seconds; the whole answer would say how long it was
// and not how slow the node. reading is what this request's uncached prompt takes
// there by the node's own speed, so that a node known by short prompts only is
// not taken for fast. A node never tried counts with its reading and round trip
// alone, and is therefore tried soon. Draining and suspect nodes are left out.
//
// The balancer of Twitter's Finagle ("Peak EWMA", 2015) and of Linkerd, which
// chooses of two draws as well.
//
// Use it where nodes slow down without saying so: heat, other users, bad links.
// It does not believe what nodes say of their load.
import { Header, Row, BAD_REQUEST, SEEN_PART, BEHIND, open, lowest, answer, preferTwo } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const SPAN: u64 = 10_000; // ms in which a peak sinks, as the host's average does
const PREFILL: u64 = 1_000_000; // ns per prompt token, if never measured: a small computer
const TOP: u64 = BEHIND / 2 - 1; // µs, 18 minutes

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_route(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null) return answer(BAD_REQUEST);
  for (let i: u32 = 0; i < h.count; i++) {
    const r = h.row(i);
    if (r.usable) h.setScore(i, cost(h, r));
  }
  preferTwo(h);
  return lowest(h);
}

@inline
function cost(h: Header, r: Row): u32 {
  const prefill: u64 = r.speedAt == 0 ? PREFILL : r.prefill;
  let time = min((<u64>(h.prompt - min(r.prefix, h.prompt)) * prefill) / 1000, TOP);
  if (r.firstAt == 0) {
    time += r.rtt;
  } else {
    const first: u64 = r.first, above = max<u64>(r.firstPeak, first) - first;
    time = max(time, first + (above * (SPAN - min<u64>(h.age(r.firstAt), SPAN))) / SPAN);
  }
  const slots: u64 = max(r.slots, 1);
  return <u32>min((min(time, TOP) * (slots + r.inFlight)) / slots, TOP);
}
