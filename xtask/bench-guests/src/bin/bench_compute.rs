//! Nanoseconds of loops that call nothing: one line `name nanoseconds` each.

use std::hint::black_box;
use std::time::Instant;

fn main() {
    measure("sieve", || sieve(12_000_000) as u64);
    measure("matrix", || matrix(400));
    measure("hash", || hash(100_000_000));
}

fn measure(name: &str, work: impl Fn() -> u64) {
    let begin = Instant::now();
    black_box(work());
    println!("{name} {}", begin.elapsed().as_nanos());
}

/// How many primes there are below a number: branches and bytes in memory.
fn sieve(below: usize) -> usize {
    let mut composite = vec![false; below];
    for number in 2..below {
        if !composite[number] {
            (number * number..below).step_by(number).for_each(|multiple| composite[multiple] = true);
        }
    }
    composite.iter().skip(2).filter(|composite| !**composite).count()
}

/// A product of square matrices: floating point in nested loops.
fn matrix(size: usize) -> u64 {
    let a: Vec<f64> = (0..size * size).map(|n| n as f64 * 0.5).collect();
    let b: Vec<f64> = (0..size * size).map(|n| n as f64 * 0.25).collect();
    let mut sum = 0.0;
    for row in 0..size {
        for column in 0..size {
            sum += (0..size).map(|n| a[row * size + n] * b[n * size + column]).sum::<f64>();
        }
    }
    sum.to_bits()
}

/// FNV-1a of so many bytes: the tightest of loops, in which an interruption point costs most.
fn hash(bytes: u32) -> u64 {
    (0..bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte as u8)).wrapping_mul(0x0100_0000_01b3)
    })
}
