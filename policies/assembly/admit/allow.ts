// allow: every request, at once.
//
// What queues there are is left to the engines. A baseline that shows what
// admission is worth; use it on a node that only its owner can reach.
import { BAD_REQUEST, ALLOW, LOAD_PART, open, answer, verdict } from "../../sdk/assemblyscript/omx";
export { omx_abi, omx_buf } from "../../sdk/assemblyscript/omx";

export function omx_wants(kind: u32): u64 { return LOAD_PART; }

export function omx_admit(view: usize, length: u32): u64 {
  return open(view, length) == null ? answer(BAD_REQUEST) : verdict(ALLOW);
}
