;; Throws what nobody catches: ends like a trap.
(module
  (tag $number (param i32))
  (func (export "_start") (throw $number (i32.const 42))))
