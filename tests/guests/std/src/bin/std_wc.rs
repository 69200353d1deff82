//! Counts lines, words and bytes, of standard input or of the files that are named.

use std::io::{BufRead, BufReader};

fn count(name: &str, mut input: impl BufRead) {
    let (mut lines, mut words, mut bytes) = (0_u64, 0_u64, 0_u64);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).expect("read") > 0 {
        lines += u64::from(line.ends_with(b"\n"));
        words += line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count() as u64;
        bytes += line.len() as u64;
        line.clear();
    }
    println!("{lines} {words} {bytes} {name}");
}

fn main() {
    let names: Vec<_> = std::env::args().skip(1).collect();
    if names.is_empty() {
        count("-", std::io::stdin().lock());
    }
    for name in names {
        match std::fs::File::open(&name) {
            Ok(file) => count(&name, BufReader::new(file)),
            Err(error) => {
                eprintln!("{name}: {}", error.kind());
                std::process::exit(1);
            }
        }
    }
}
