;; Calls with addresses and no memory at all: an error number or a trap, never a crash. Exits 0 on an error number.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (func (export "_start")
    (if (i32.eqz (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))) (then unreachable))))
