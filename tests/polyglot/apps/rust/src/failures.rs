//! Checks 13 to 16: what ends badly.

use std::hint::black_box;

use crate::Given;

/// How much memory is taken at a time.
const PIECE_BYTES: usize = 1 << 20;
/// WebAssembly's smallest page: one byte in each is touched.
const PAGE_BYTES: usize = 4096;

pub(crate) fn memory(given: &Given) {
    // Standard output is flushed at each line end.
    println!("memory {}", given.nonce);
    let mut held = Vec::new();
    loop {
        let mut piece = vec![0_u8; PIECE_BYTES];
        piece.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
        held.push(black_box(piece));
    }
}

pub(crate) fn endless(given: &Given) {
    println!("loop {}", given.nonce);
    let mut number = given.seed;
    loop {
        number = black_box(number.wrapping_mul(31).wrapping_add(1));
    }
}

pub(crate) fn recursion(given: &Given) {
    println!("recursion {}", given.nonce);
    black_box(deeper(black_box(given.seed)));
}

/// What is done after the call, with what was kept over it, keeps it a call.
#[expect(unconditional_recursion, reason = "that is the check")]
fn deeper(number: u64) -> u64 {
    let kept = black_box([number; 8]);
    deeper(black_box(number.wrapping_add(1))).wrapping_add(kept[0])
}

pub(crate) fn uncaught(given: &Given) {
    println!("uncaught-next {}", given.nonce);
    panic!("uncaught {}", given.nonce);
}
