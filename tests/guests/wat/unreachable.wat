;; Traps at once, two calls deep, with names for the backtrace.
(module $traps
  (func $inner unreachable)
  (func $outer (call $inner))
  (func (export "_start") (call $outer)))
