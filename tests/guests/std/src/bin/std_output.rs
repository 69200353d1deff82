//! Writes as many lines as its argument says, alternately to both streams; ends quietly when nobody reads.

use std::io::Write;

fn main() {
    let lines: u32 = std::env::args().nth(1).expect("lines").parse().expect("a number");
    for line in 0..lines {
        if writeln!(std::io::stdout(), "out {line}")
            .and_then(|()| writeln!(std::io::stderr(), "err {line}"))
            .is_err()
        {
            std::process::exit(3);
        }
    }
}
