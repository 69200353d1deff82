;; Shaped like a module of WasmTarget.jl 0.5, but written by hand: no compiler of Julia was at hand. The imports, the types of
;; strings and vectors and the way of a string to `io` are those of its sources. As Julia it would be:
;;   function main()::Nothing
;;       println("¿qué tal?"); println(-7); println(sum([0.5, 1.5, 2.25])); println(nothing); println(true)
;;       seeded, timed = ..., ...; println(seeded && timed); error()
;;   end
(module
  (type $bytes (array (mut i8)))
  (type $units (array (mut i16)))
  (type $floats (array (mut f64)))
  (type $vector (struct (field (mut (ref null $floats))) (field (mut i64))))
  (import "wasm:js-string" "fromCharCodeArray"
    (func $decode (param (ref null $units) i32 i32) (result (ref extern))))
  (import "io" "write_string" (func $string (param externref)))
  (import "io" "write_int" (func $int (param i64)))
  (import "io" "write_float" (func $float (param f64)))
  (import "io" "write_bool" (func $bool (param i32)))
  (import "io" "write_newline" (func $newline))
  (import "io" "write_nothing" (func $nothing))
  (import "env" "perf_now" (func $now (result f64)))
  (import "env" "random_i64" (func $random (result i64)))
  (tag $exception (param externref))
  (global $ready (mut i32) (i32.const 0))
  (start $init)
  (func $init (global.set $ready (i32.const 1)))
  (data $greeting "\c2\bfqu\c3\a9 tal?")

  (func $print (param $from (ref null $bytes))
    (local $to (ref null $units)) (local $at i32)
    (local.set $to (array.new_default $units (array.len (local.get $from))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (array.len (local.get $from))))
        (array.set $units (local.get $to) (local.get $at)
          (array.get_u $bytes (local.get $from) (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $string (call $decode (local.get $to) (i32.const 0) (array.len (local.get $from)))))

  (func $sum (param $of (ref null $vector)) (result f64)
    (local $total f64) (local $at i64)
    (loop $next
      (local.set $total (f64.add (local.get $total)
        (array.get $floats (struct.get $vector 0 (local.get $of)) (i32.wrap_i64 (local.get $at)))))
      (local.set $at (i64.add (local.get $at) (i64.const 1)))
      (br_if $next (i64.lt_s (local.get $at) (struct.get $vector 1 (local.get $of)))))
    (local.get $total))

  (func (export "main")
    (call $print (array.new_data $bytes $greeting (i32.const 0) (i32.const 11))) (call $newline)
    (call $int (i64.const -7)) (call $newline)
    (call $float (call $sum (struct.new $vector
      (array.new_fixed $floats 3 (f64.const 0.5) (f64.const 1.5) (f64.const 2.25)) (i64.const 3))))
    (call $newline)
    (call $nothing) (call $newline)
    (call $bool (global.get $ready)) (call $newline)
    (call $bool (i32.and
      (i64.ne (call $random) (call $random))
      (f64.ge (call $now) (f64.const 0)))) (call $newline)
    (throw $exception (ref.null extern))))
