;; 128-bit vectors: lanes, shuffles, saturation, a dot product, and a relaxed operation with a fixed result.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (i32x4.extract_lane 2
          (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 10 20 30 40))) (i32.const 33)) (then unreachable))
    (if (i32.ne (i8x16.extract_lane_u 0
          (i8x16.add_sat_u (i8x16.splat (i32.const 250)) (i8x16.splat (i32.const 10)))) (i32.const 255)) (then unreachable))
    (if (i32.ne (i8x16.extract_lane_u 0
          (i8x16.shuffle 31 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
            (i8x16.splat (i32.const 1)) (i8x16.splat (i32.const 9)))) (i32.const 9)) (then unreachable))
    (v128.store (i32.const 16) (i32x4.dot_i16x8_s (i16x8.splat (i32.const 300)) (i16x8.splat (i32.const -2))))
    (if (i32.ne (i32.load (i32.const 16)) (i32.const -1200)) (then unreachable))
    (if (f32.ne (f32x4.extract_lane 1
          (f32x4.relaxed_madd (f32x4.splat (f32.const 2)) (f32x4.splat (f32.const 3)) (f32x4.splat (f32.const 4))))
          (f32.const 10)) (then unreachable))))
