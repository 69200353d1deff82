//! A program that does what its first argument begins with, and as a service sleeps.

/// `quit` ends with 7, `trap`, `cat`, `env`, `flood`, `spin`, `hello-and-sleep`, `tick`, `read PATH`, `write PATH` and
/// `grow WORD` (as many pages as the word is long) do what they say. `ask REQUEST…` sends each request to `service://qyvold`,
/// when the one before is answered, and prints the answers; `push TEXT` sends it there for ever, reading nothing; `bomb` starts
/// itself there, again and again. Files are named from the root; what fails ends with its
/// errno.
pub(crate) const TOOL: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 130) "\n") (data (i32.const 140) "svc/qyvold")
  (data (i32.const 400) "{\"v\":1,\"do\":\"run\",\"args\":[\"bomb\"]}\n")
  (data (i32.const 100) "hello\n") (data (i32.const 110) "tick\n") (data (i32.const 120) "written\n")

  (func $must (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func $print (param $fd i32) (param $at i32) (param $left i32)
    (loop $more
      (if (local.get $left) (then
        (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $left))
        (call $must (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
        (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 8))))
        (br $more)))))
  (func $length (param $at i32) (result i32) (local $n i32)
    (loop $more
      (if (i32.load8_u (i32.add (local.get $at) (local.get $n))) (then
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $more))))
    (local.get $n))
  (func $copy (param $from i32)
    (loop $more
      (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 65536))
      (call $must (call $read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (call $print (i32.const 1) (i32.const 65536) (i32.load (i32.const 8))) (br $more)))))
  (func $sleep (param $nanoseconds i64)
    (i32.store (i32.const 216) (i32.const 1)) (i64.store (i32.const 224) (local.get $nanoseconds))
    (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 20))))
  (func $opened (param $flags i32) (param $rights i64) (result i32)
    (call $must (call $open (i32.const 3) (i32.const 1) (i32.load (i32.const 1032))
      (call $length (i32.load (i32.const 1032))) (local.get $flags) (local.get $rights) (i64.const 0)
      (i32.const 0) (i32.const 24)))
    (i32.load (i32.const 24)))

  (func $dial (result i32)
    (call $must (call $open (i32.const 3) (i32.const 1) (i32.const 140) (i32.const 10) (i32.const 0)
      (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 24)))
    (i32.load (i32.const 24)))
  ;; Reads until a line has ended, and prints it when told to; 0 at the end.
  (func $answer (param $fd i32) (param $print i32) (result i32) (local $at i32) (local $end i32)
    (loop $more
      (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 65536))
      (call $must (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.eqz (i32.load (i32.const 8))) (then (return (i32.const 0))))
      (local.set $at (i32.const 65536))
      (local.set $end (i32.add (i32.const 65536) (i32.load (i32.const 8))))
      (if (local.get $print)
        (then (call $print (i32.const 1) (i32.const 65536) (i32.load (i32.const 8)))))
      (loop $look
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 10)) (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $look (i32.lt_u (local.get $at) (local.get $end))))
      (br $more))
    (i32.const 0))
  (func $ask (local $fd i32) (local $n i32) (local $at i32)
    (local.set $fd (call $dial))
    (local.set $n (i32.const 2))
    (block $over
      (loop $each
        (br_if $over (i32.ge_u (local.get $n) (i32.load (i32.const 16))))
        (local.set $at (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $n) (i32.const 4)))))
        (call $print (local.get $fd) (local.get $at) (call $length (local.get $at)))
        (call $print (local.get $fd) (i32.const 130) (i32.const 1))
        (br_if $over (i32.eqz (call $answer (local.get $fd) (i32.const 1))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $each)))
    (drop (call $shutdown (local.get $fd) (i32.const 2)))
    (call $copy (local.get $fd)))

  (func (export "_start") (local $word i32) (local $n i32)
    (call $must (call $args_sizes (i32.const 16) (i32.const 20)))
    (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 2))
      (then (loop $for_ever (call $sleep (i64.const 1000000000)) (br $for_ever))))
    (call $must (call $args (i32.const 1024) (i32.const 4096)))
    ;; The first two letters tell all of them apart.
    (local.set $word (i32.load16_u (i32.load (i32.const 1028))))
    (if (i32.eq (local.get $word) (i32.const 0x7571)) (then (call $exit (i32.const 7))))   ;; qu
    (if (i32.eq (local.get $word) (i32.const 0x7274)) (then unreachable))                  ;; tr
    (if (i32.eq (local.get $word) (i32.const 0x7361)) (then (call $ask)))                  ;; as
    (if (i32.eq (local.get $word) (i32.const 0x7570)) (then                                ;; pu
      (local.set $n (call $dial))
      (loop $push
        (call $print (local.get $n) (i32.load (i32.const 1032)) (call $length (i32.load (i32.const 1032))))
        (br $push))))
    (if (i32.eq (local.get $word) (i32.const 0x6f62)) (then                                ;; bo
      (local.set $n (call $dial))
      (loop $bomb
        (call $print (local.get $n) (i32.const 400) (i32.const 35))
        (drop (call $answer (local.get $n) (i32.const 0)))
        (br $bomb))))
    (if (i32.eq (local.get $word) (i32.const 0x6163)) (then (call $copy (i32.const 0))))   ;; ca
    (if (i32.eq (local.get $word) (i32.const 0x6c66))                                      ;; fl
      (then (loop $flood (call $print (i32.const 1) (i32.const 65536) (i32.const 65536)) (br $flood))))
    (if (i32.eq (local.get $word) (i32.const 0x7073)) (then                                ;; sp
      (call $print (i32.const 1) (i32.const 100) (i32.const 6)) (loop $spin (br $spin))))
    (if (i32.eq (local.get $word) (i32.const 0x6568)) (then                                ;; he
      (call $print (i32.const 1) (i32.const 100) (i32.const 6))
      (loop $hello (call $sleep (i64.const 1000000000)) (br $hello))))
    (if (i32.eq (local.get $word) (i32.const 0x6974)) (then                                ;; ti
      (loop $tick
        (call $print (i32.const 1) (i32.const 110) (i32.const 5)) (call $sleep (i64.const 5000000))
        (br $tick))))
    (if (i32.eq (local.get $word) (i32.const 0x6572))                                      ;; re
      (then (call $copy (call $opened (i32.const 0) (i64.const 2)))))
    (if (i32.eq (local.get $word) (i32.const 0x7277))                                      ;; wr
      (then (call $print (call $opened (i32.const 9) (i64.const 64)) (i32.const 120) (i32.const 8))))
    (if (i32.eq (local.get $word) (i32.const 0x7267)) (then                                ;; gr
      (if (i32.lt_s (memory.grow (call $length (i32.load (i32.const 1032)))) (i32.const 0))
        (then (call $exit (i32.const 1))))))
    (if (i32.eq (local.get $word) (i32.const 0x6e65)) (then                                ;; en
      (call $must (call $env_sizes (i32.const 16) (i32.const 20)))
      (call $must (call $env (i32.const 65536) (i32.const 131072)))
      (loop $each
        (if (i32.lt_u (local.get $n) (i32.load (i32.const 16))) (then
          (local.set $word (i32.load (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 4)))))
          (call $print (i32.const 1) (local.get $word) (call $length (local.get $word)))
          (i32.store8 (i32.const 28) (i32.const 10))
          (call $print (i32.const 1) (i32.const 28) (i32.const 1))
          (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $each))))))))"#;
