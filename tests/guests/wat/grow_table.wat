;; Grows a table until refused, then exits with 0; it traps when it got more than 100 million entries.
(module
  (table $t 1 funcref)
  (func (export "_start")
    (loop $more
      (if (i32.gt_u (table.size $t) (i32.const 100000000)) (then unreachable))
      (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 65536)) (i32.const -1))))))
