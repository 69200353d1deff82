//! Prints a number that is random for each start, from the seeds of the standard hash map.

use std::hash::{BuildHasher, RandomState};

fn main() {
    println!("{:016x}", RandomState::new().hash_one(0));
}
