;; Never ends and calls nobody.
(module (func (export "_start") (loop (br 0))))
