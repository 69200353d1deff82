;; Addresses at the very end of a memory that has grown since the start.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $end i32)
    (drop (memory.grow (i32.const 256)))
    (local.set $end (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))
    (i32.store (i32.const 0) (local.get $end))
    (i32.store (i32.const 4) (i32.const 2))
    ;; Two bytes from the last one: 21 is `FAULT`.
    (if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 21)) (then unreachable))
    ;; The count itself lies over the end.
    (i32.store (i32.const 4) (i32.const 0))
    (if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.sub (local.get $end) (i32.const 2))) (i32.const 21))
      (then unreachable))))
