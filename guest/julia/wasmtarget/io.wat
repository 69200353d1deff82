;; `print` of modules of WasmTarget.jl. Their strings are UTF-8 and reach JavaScript with one code unit for each byte, so the
;; lower half of each unit is the byte to be printed.
(module
  (type $units (array (mut i16)))
  (import "env" "put" (func $put (param i32)))
  (import "env" "write_int" (func $int (param i64)))
  (import "env" "write_float" (func $float (param f64)))
  (import "env" "write_bool" (func $bool (param i32)))
  (func (export "write_string") (param $string externref)
    (local $text (ref $units))
    (local $at i32)
    (local.set $text (ref.cast (ref $units) (any.convert_extern (local.get $string))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (array.len (local.get $text))))
        (call $put (array.get_u $units (local.get $text) (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))
  (func (export "write_newline") (call $put (i32.const 10)))
  (func (export "write_nothing")
    (call $put (i32.const 110)) (call $put (i32.const 111)) (call $put (i32.const 116)) (call $put (i32.const 104))
    (call $put (i32.const 105)) (call $put (i32.const 110)) (call $put (i32.const 103)))
  (export "write_int" (func $int))
  (export "write_float" (func $float))
  (export "write_bool" (func $bool)))
