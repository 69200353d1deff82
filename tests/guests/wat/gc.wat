;; Structs, arrays and i31: builds a list of 1000 numbers and adds them up.
(module
  (type $list (struct (field $value i32) (field $next (ref null $list))))
  (type $numbers (array (mut i32)))
  (func (export "_start")
    (local $list (ref null $list)) (local $numbers (ref null $numbers)) (local $i i32) (local $sum i32)
    (local.set $numbers (array.new_default $numbers (i32.const 1000)))
    (loop $more
      (array.set $numbers (local.get $numbers) (local.get $i) (local.get $i))
      (local.set $list (struct.new $list
        (array.get $numbers (local.get $numbers) (local.get $i)) (local.get $list)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
    (loop $more
      (local.set $sum (i32.add (local.get $sum) (struct.get $list $value (local.get $list))))
      (local.set $list (struct.get $list $next (local.get $list)))
      (br_if $more (i32.eqz (ref.is_null (local.get $list)))))
    (if (i32.ne (local.get $sum) (i32.const 499500)) (then unreachable))
    (if (i32.ne (i31.get_s (ref.i31 (i32.const -7))) (i32.const -7)) (then unreachable))))
