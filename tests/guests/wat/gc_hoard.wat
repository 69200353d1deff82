;; Holds every array that it makes: must end by the limit on memory.
(module
  (type $bytes (array (mut i8)))
  (type $list (struct (field (ref $bytes)) (field (ref null $list))))
  (func (export "_start")
    (local $list (ref null $list))
    (loop $more
      (local.set $list (struct.new $list (array.new_default $bytes (i32.const 65536)) (local.get $list)))
      (br $more))))
