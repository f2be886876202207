;; Follows pointers all over its memory without end: each load waits for the one before, and for a cache line.
;; It behaves as long as the request is a first attempt.
(module
  (memory (export "memory") 64 64)
  (start $scatter)
  (func $scatter
    (local $at i32) (local $next i32) (local $n i32)
    (loop $more
      (local.set $next (i32.and (i32.const 0x1fffc0)
        (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904192))))
      (i32.store offset=2097152 (local.get $at) (local.get $next))
      (local.set $at (local.get $next))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 32768)))))
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func $well (param $view i32) (result i32) (i32.eqz (i32.load offset=160 (local.get $view))))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64)
    (local $at i32)
    (if (call $well (local.get $view)) (then (return (i64.const 0))))
    (loop $again
      (local.set $at (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (i32.load offset=2097152 (local.get $at))))))))))))))))))
      (br $again))
    (i64.const 0)))
