//! Recurses: to the depth that the argument says, or until the stack ends. The frames are large, so that the end is
//! that of the stack in memory.

use std::hint::black_box;

#[inline(never)]
fn down(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if depth == 0 { 0 } else { down(depth - 1) + frame[(depth % 32) as usize] - depth + 1 }
}

fn main() {
    let depth = std::env::args().nth(1).map_or(u64::MAX, |depth| depth.parse().expect("a number"));
    println!("{}", down(depth));
}
