;; Adds up the output tokens of events, and answers with the sum. It runs away on
;; event 1, and crashes on event 2.
(module
  (memory (export "memory") 6 64)
  (global $sum (mut i32) (i32.const 0))
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32)
    (select (i32.const 1024) (i32.const 256) (local.get $kind)))
  (func (export "omx_event") (param $event i32) (param $len i32)
    (local $kind i32)
    (local.set $kind (i32.load16_u (local.get $event)))
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (loop $again (br $again))))
    (if (i32.eq (local.get $kind) (i32.const 2)) (then (unreachable)))
    (if (i32.ne (local.get $len) (i32.const 88)) (then (unreachable)))
    (global.set $sum (i32.add (global.get $sum) (i32.load offset=60 (local.get $event)))))
  (func (export "omx_wants") (param $kind i32) (result i64) (i64.const 0x500000041))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64)
    (i64.extend_i32_u (global.get $sum))))
