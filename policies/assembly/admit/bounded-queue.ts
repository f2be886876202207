// bounded-queue: a request may wait while fewer than four per slot do.
//
//   no figures for the model here         allow: it is not served here
//   queued + running + sentSince < slots  allow
//   queued + sentSince < 4 × slots        queue
//   else                                  shed, reason 1: come back after
//       wait = expectOut × decode, within 1 s and 30 s
//
// wait is the time of one request, after which a place in the queue is free. A
// queue that is bounded by its length keeps the waiting time bounded as well:
// four services for those at its end. Nothing is rejected for good. The oldest
// rule there is: A. K. Erlang's loss formula (1917) is about a queue of none.
//
// Use it for one node alone; in a mesh, free-slot sends requests on that would
// wait here while another node is idle.
import { open, answer, verdict, ALLOW, QUEUE, SHED, BAD_REQUEST, SEEN_PART } from "../../sdk/assemblyscript/omx";
import { FULL, busy, comeBack } from "../gate";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

const FACTOR: u64 = 4; // requests that may wait per slot

export function omx_wants(kind: u32): u64 { return SEEN_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  const h = open(view, length);
  if (h == null || h.count == 0) return answer(BAD_REQUEST);
  const r = h.row(0);
  if (r.loadAt == 0 || r.slots == 0 || !busy(r)) return verdict(ALLOW);
  if (<u64>r.queued + r.sentSince < FACTOR * r.slots) return verdict(QUEUE);
  return verdict(SHED, FULL, comeBack(h, r));
}
