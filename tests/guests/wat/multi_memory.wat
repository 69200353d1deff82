;; Two memories: a copy between them, and growth of one that leaves the other.
(module
  (memory $one (export "memory") 1)
  (memory $two 1)
  (data $one (i32.const 16) "across")
  (func (export "_start")
    (memory.copy $two $one (i32.const 100) (i32.const 16) (i32.const 6))
    (if (i32.ne (i32.load8_u $two (i32.const 105)) (i32.const 115)) (then unreachable))
    (if (i32.load8_u $one (i32.const 105)) (then unreachable))
    (if (i32.ne (memory.grow $two (i32.const 3)) (i32.const 1)) (then unreachable))
    (if (i32.ne (memory.size $one) (i32.const 1)) (then unreachable))
    (if (i32.ne (memory.size $two) (i32.const 4)) (then unreachable))))
