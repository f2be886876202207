;; Wants the first model dropped at the first four nodes. When it is tried, on
;; three nodes, it wants nothing.
(module
  (memory (export "memory") 6 64)
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func (export "omx_replicate") (param $view i32) (param $len i32) (result i64)
    (local $at i32) (local $i i32)
    (if (i32.eq (i32.load offset=8 (local.get $view)) (i32.const 3)) (then (return (i64.const 0))))
    (local.set $at (i32.add (local.get $view) (i32.load offset=16 (local.get $view))))
    (loop $next
      (i32.store16 (local.get $at) (i32.const 2))
      (i32.store16 offset=4 (local.get $at) (local.get $i))
      (i32.store16 offset=6 (local.get $at) (i32.const 0xffff))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 4))))
    (i64.const 4)))
