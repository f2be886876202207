;; Recursion without end whose frames hold many vectors.
;; It behaves as long as the request is a first attempt.
(module
  (memory (export "memory") 6 64)
  (func $down (param v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128) (result v128)
    (i8x16.add (local.get 31) (call $down (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13) (local.get 14) (local.get 15) (local.get 16) (local.get 17) (local.get 18) (local.get 19) (local.get 20) (local.get 21) (local.get 22) (local.get 23) (local.get 24) (local.get 25) (local.get 26) (local.get 27) (local.get 28) (local.get 29) (local.get 30) (local.get 31) (local.get 0))))
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func $well (param $view i32) (result i32) (i32.eqz (i32.load offset=160 (local.get $view))))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64)
    (local $v v128)
    (if (call $well (local.get $view)) (then (return (i64.const 0))))
    (loop $again
      (drop (call $down (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v)))
      (br $again))
    (i64.const 0)))
