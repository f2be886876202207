;; Control flow: nested loops, blocks with values, tables of branches, calls.
(module
  (memory (export "memory") 1 4)
  (type $two (func (param i32 i32) (result i32 i32)))
  (table funcref (elem $double $square $negate))
  (type $unary (func (param i64) (result i64)))
  (func $double (param i64) (result i64) (i64.shl (local.get 0) (i64.const 1)))
  (func $square (param i64) (result i64) (i64.mul (local.get 0) (local.get 0)))
  (func $negate (param i64) (result i64) (i64.sub (i64.const 0) (local.get 0)))

  (func (export "nested") (param $n i32) (param $m i32) (result i64)
    (local $i i32) (local $j i32) (local $sum i64)
    (local.set $n (i32.and (local.get $n) (i32.const 31)))
    (local.set $m (i32.and (local.get $m) (i32.const 31)))
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $j (i32.const 0))
        (block $next
          (loop $inner
            (br_if $next (i32.ge_u (local.get $j) (local.get $m)))
            (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (i32.mul (local.get $i) (local.get $j)))))
            (i32.store (i32.shl (local.get $j) (i32.const 2)) (local.get $i))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br $inner)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $outer)))
    (local.get $sum))

  (func (export "loop_with_values") (param $n i32) (param $m i32) (result i64)
    (local $i i32)
    (local.set $n (i32.and (local.get $n) (i32.const 63)))
    (local.get $m) (i32.const 1)
    (loop $again (type $two)
      (i32.add)
      (local.tee $m)
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (local.get $i)
      (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
    (i32.xor)
    (i64.extend_i32_u))

  (func (export "branch_table") (param $n i32) (param $m i32) (result i64)
    (block $d (block $c (block $b (block $a
      (br_table $a $b $c $d (local.get $n)))
      (return (i64.const 11)))
      (return (i64.const 22)))
      (return (i64.const 33)))
    (i64.extend_i32_s (local.get $m)))

  (func (export "indirect") (param $n i32) (param $m i32) (result i64)
    (call_indirect (type $unary) (i64.extend_i32_s (local.get $m)) (local.get $n)))

  (func $ack (param $a i32) (param $b i32) (result i32)
    (if (i32.eqz (local.get $a)) (then (return (i32.add (local.get $b) (i32.const 1)))))
    (if (i32.eqz (local.get $b)) (then (return (call $ack (i32.sub (local.get $a) (i32.const 1)) (i32.const 1)))))
    (call $ack (i32.sub (local.get $a) (i32.const 1)) (call $ack (local.get $a) (i32.sub (local.get $b) (i32.const 1)))))
  (func (export "recursive") (param $n i32) (param $m i32) (result i64)
    (i64.extend_i32_u (call $ack (i32.and (local.get $n) (i32.const 1)) (i32.and (local.get $m) (i32.const 7)))))

  (func (export "early") (param $n i32) (param $m i32) (result i64)
    (if (result i64) (i32.lt_s (local.get $n) (local.get $m))
      (then (i64.const 1))
      (else (if (i32.eq (local.get $n) (local.get $m)) (then (unreachable))) (i64.const 2)))))
