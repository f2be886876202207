;; Makes references to functions without end, each of which leaves the compiled code.
;; It behaves as long as the request is a first attempt.
(module
  (memory (export "memory") 6 64)
  (func $nobody)
  (elem declare func $nobody)
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func $well (param $view i32) (result i32) (i32.eqz (i32.load offset=160 (local.get $view))))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64)
    (if (call $well (local.get $view)) (then (return (i64.const 0))))
    (loop $again
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (drop (ref.func $nobody))
      (br $again))
    (i64.const 0)))
