;; What modules of WasmTarget.jl want from JavaScript's strings: to make one of an array of code units. Here a "string" is
;; a copy of that array, which `io.wat` reads.
(module
  (type $units (array (mut i16)))
  (func (export "fromCharCodeArray") (param $from (ref null $units)) (param $begin i32) (param $end i32) (result (ref extern))
    (local $text (ref $units))
    ;; An `end` beyond the array traps in the copy, as the standard says; one before `begin` makes an array too large.
    (local.set $text (array.new_default $units (i32.sub (local.get $end) (local.get $begin))))
    (array.copy $units $units
      (local.get $text) (i32.const 0)
      (local.get $from) (local.get $begin) (i32.sub (local.get $end) (local.get $begin)))
    (extern.convert_any (local.get $text))))
