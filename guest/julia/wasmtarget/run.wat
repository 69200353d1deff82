;; Calls Julia's `main` and tells whether it threw. Rust cannot catch an exception of another language, WebAssembly can.
(module
  (import "app" "main" (func $main))
  (func (export "main") (result i32)
    (block $thrown
      (try_table (catch_all $thrown) (call $main))
      (return (i32.const 0)))
    (i32.const 1)))
