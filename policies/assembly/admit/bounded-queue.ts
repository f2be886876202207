// bounded-queue: a request may wait while fewer than four per slot do.
//
//   no figures for the model here     allow: it is not served here
//   queued + running + sentSince < slots  allow
//   queued + sentSince < 4 × slots        queue
//   else                                  shed, reason 1: come back after
//       wait = expectOut × decode, within 1 s and 30 s
//
// wait is the time of one request, after which a place in the queue is free. A
// queue that is bounded by its length keeps the waiting time bounded as well:
// four services for those at its end. Nothing is rejected for good.
import { open, row, answer, verdict, ALLOW, QUEUE, SHED, BAD_REQUEST, NONE } from "../omx";
export { omx_abi, omx_buf } from "../omx";

const FACTOR: u64 = 4; // requests that may wait per slot
const DECODE: u64 = 100_000; // µs per output token, if never measured
const REASON_FULL: u32 = 1;

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = row(h, 0);
  if (r.loadAge == NONE || r.slots == 0) return verdict(ALLOW);
  const waiting = <u64>r.queued + r.sentSince;
  if (waiting + r.running < r.slots) return verdict(ALLOW);
  if (waiting < FACTOR * r.slots) return verdict(QUEUE);
  const decode: u64 = r.speedAge == NONE ? DECODE : r.decode;
  const tenths = (<u64>h.expectOut * decode) / 100_000;
  return verdict(SHED, REASON_FULL, <u32>min(max(tenths, 10), 300));
}
