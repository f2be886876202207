;; Draws random numbers without end.
;; It behaves as long as the request is a first attempt.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 6 64)
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func $well (param $view i32) (result i32) (i32.eqz (i32.load offset=160 (local.get $view))))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64)
    (if (call $well (local.get $view)) (then (return (i64.const 0))))
    (loop $again
      (drop (call $random (i32.const 65536) (i32.const 65536)))
      (br $again))
    (i64.const 0)))
