;; Makes 20 million short-lived structs (some 500 MB) while holding few: a collector must keep up under a small limit.
(module
  (type $pair (struct (field i64) (field (ref null $pair))))
  (func (export "_start")
    (local $i i32) (local $last (ref null $pair))
    (loop $more
      (local.set $last (struct.new $pair (i64.extend_i32_u (local.get $i))
        (if (result (ref null $pair)) (i32.and (local.get $i) (i32.const 15))
          (then (local.get $last)) (else (ref.null $pair)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 20000000))))
    (if (i64.ne (struct.get $pair 0 (local.get $last)) (i64.const 19999999)) (then unreachable))))
