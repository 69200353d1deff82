//! A program that dials a host outside.

/// Opens `/svc/<target>`, says `hello` there, prints what is answered, and exits with the errno of what fails. `svc` is the
/// descriptor of `/svc`.
pub(crate) fn dialler(target: &str, svc: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "hello\n")
        (data (i32.const 128) "{target}")
        (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
        (func (export "_start")
            (call $check (call $open (i32.const {svc}) (i32.const 0) (i32.const 128) (i32.const {length}) (i32.const 0)
                (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 6))
            (call $check (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 100))
            (call $check (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
            (i32.store (i32.const 4) (i32.load (i32.const 12)))
            (call $check (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
            (call $check (call $close (i32.load (i32.const 8))))))"#,
        length = target.len()
    )
}
