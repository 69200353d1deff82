//! Copies standard input to standard output, all bytes, whatever they are.

use std::io::{Read, Write};

fn main() {
    let mut buffer = vec![0; 10_000];
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    loop {
        let count = input.read(&mut buffer).expect("read standard input");
        if count == 0 {
            break;
        }
        output.write_all(&buffer[..count]).expect("write standard output");
    }
    output.flush().expect("flush");
}
