;; Grows its memory until refused, then exits with 0; it traps when it got more than 1 GiB.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $more
      (if (i32.gt_u (memory.size) (i32.const 16384)) (then unreachable))
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))))
