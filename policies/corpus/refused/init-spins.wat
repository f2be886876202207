;; Does not come to the end of its set-up.
(module
  (func (export "_initialize") (loop $again (br $again)))
  (memory (export "memory") 6 64)
  (func (export "omx_abi") (result i32) (i32.const 0x10000))
  (func (export "omx_buf") (param $kind i32) (param $bytes i32) (result i32) (i32.const 1024))
  (func (export "omx_route") (param $view i32) (param $len i32) (result i64) (i64.const 0))
)
