;; A memory with 64-bit addresses, its end, and a growth that is refused.
(module
  (memory (export "memory") i64 2)
  (func (export "_start")
    (i64.store (i64.const 131064) (i64.const 0x1122334455667788))
    (if (i64.ne (i64.load (i64.const 131064)) (i64.const 0x1122334455667788)) (then unreachable))
    (if (i64.ne (memory.grow (i64.const 0x1000000000)) (i64.const -1)) (then unreachable))
    (if (i64.ne (memory.grow (i64.const 1)) (i64.const 2)) (then unreachable))))
