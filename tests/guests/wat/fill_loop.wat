;; Spends its time inside long bulk operations, which check for nothing while they run.
(module
  (memory (export "memory") 1024)
  (func (export "_start")
    (loop
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000))
      (memory.copy (i32.const 0x2000000) (i32.const 0) (i32.const 0x2000000))
      (br 0))))
