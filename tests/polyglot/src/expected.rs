//! What an app must write: computed here, from the seed and the nonce alone.

use std::fmt::Write as _;

use crate::case::Case;
use crate::check::Check;
use crate::sums::{SplitMix64, fnv1a};

/// The packaged file that all apps read.
pub(crate) const FIXED: &[u8] = include_bytes!("../texts/fixed.txt");

/// What `big` writes and reads.
const BIG_BYTES: usize = 10 << 20;
/// What `dial` sends in one frame.
const FRAME_BYTES: usize = 100_000;

/// The exit code.
#[must_use]
pub(crate) fn exit_code(case: &Case) -> u32 {
    // At most 100.
    if case.check == Check::Exit { 1 + (case.seed % 100) as u32 } else { 0 }
}

/// Standard output; for `random` what comes before the bytes that nobody knows.
#[must_use]
pub(crate) fn stdout(case: &Case) -> String {
    let n = &case.nonce;
    match case.check {
        Check::Exit => format!("exit {n}\n"),
        Check::Args => args(case),
        Check::Env => env(case),
        Check::Stdin => format!("stdin {} {}\nstdin {n}\n", case.stdin.len(), fnv1a(&case.stdin)),
        Check::Streams => (0..50).map(|i| format!("out {i} {n}\n")).collect(),
        Check::Files => format!(
            "files created\nfiles appended 8\nfiles renamed\nfiles listed b c\nfiles read {}\nfiles removed\nfiles gone\n",
            fnv1a(b"one\ntwo\n")
        ),
        Check::Missing => format!("missing not-found {n}\n"),
        Check::Readonly => {
            format!("readonly refused refused refused\nreadonly read {}\n", fnv1a(FIXED))
        }
        Check::Big => {
            format!("big {BIG_BYTES} {}\nbig {n}\n", fnv1a(&SplitMix64(case.seed).bytes(BIG_BYTES)))
        }
        Check::Clocks => format!("clocks monotonic\nclocks within\nclocks {n}\n"),
        Check::Random => "random 64 distinct\nrandom ".to_owned(),
        Check::Sleep => format!("sleep enough\nsleep {n}\n"),
        Check::Memory => format!("memory {n}\n"),
        Check::Loop => format!("loop {n}\n"),
        Check::Recursion => format!("recursion {n}\n"),
        Check::Uncaught => format!("uncaught-next {n}\n"),
        Check::Dial => {
            let sum = fnv1a(&SplitMix64(case.seed).bytes(FRAME_BYTES));
            format!("dial lines {n}\ndial frames {n}\ndial bytes {FRAME_BYTES} {sum}\n")
        }
        Check::Serve => format!("serve {} {n}\n", case.lines.len()),
        Check::Refused => format!("refused denied {n}\n"),
        Check::Numbers => numbers(case.seed),
    }
}

/// Both outputs of `streams`, as one pipe has them.
#[must_use]
pub(crate) fn both(case: &Case) -> String {
    (0..50).map(|i| format!("out {i} {0}\nerr {i} {0}\n", case.nonce)).collect()
}

/// What the other side of `serve` is answered.
#[must_use]
pub(crate) fn answers(case: &Case) -> String {
    case.lines.iter().map(|line| format!("served {line} {}\n", case.nonce)).collect()
}

fn args(case: &Case) -> String {
    let mut text = String::new();
    for (position, argument) in case.more.iter().enumerate() {
        // Writing into a `String` does not fail.
        let _ = writeln!(text, "arg {position} {} {argument}", argument.len());
    }
    text + &format!("args {}\n", case.nonce)
}

fn env(case: &Case) -> String {
    let mut text = String::new();
    for name in &case.more {
        let _ = match case.environment.iter().find(|(given, _)| given == name) {
            Some((_, value)) => writeln!(text, "env {name}={value}"),
            None => writeln!(text, "env {name} absent"),
        };
    }
    text + &format!("env {}\n", case.nonce)
}

fn numbers(seed: u64) -> String {
    let mut text =
        format!("signed {}\nunsigned {seed}\nleast {}\nmost {}\n", seed.cast_signed(), i64::MIN, i64::MAX);
    let mut generator = SplitMix64(seed);
    for _ in 0..4 {
        let _ = writeln!(text, "fixed {}", eighths((generator.draw() % (1 << 40)).cast_signed() - (1 << 39)));
    }
    text
}

/// A number of eighths with three decimals, in integers, so that no formatting of a language is trusted.
fn eighths(number: i64) -> String {
    let size = number.unsigned_abs();
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", size / 8, size % 8 * 125)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighths_are_written_exactly() {
        let written = [0, 1, -1, 8, -9, -274_877_906_945].map(eighths);
        assert_eq!(written, ["0.000", "0.125", "-0.125", "1.000", "-1.125", "-34359738368.125"]);
        // By another way: all of them are exact as doubles.
        let mut generator = SplitMix64(9);
        for _ in 0..1000 {
            let number = (generator.draw() % (1 << 40)).cast_signed() - (1 << 39);
            assert_eq!(eighths(number), format!("{:.3}", number as f64 / 8.0));
        }
    }

    #[test]
    fn what_the_contract_writes_out() {
        let mut case = Case::new(Check::Exit, 1);
        (case.seed, case.nonce) = (7, "0123456789abcdef".into());
        assert_eq!((stdout(&case).as_str(), exit_code(&case)), ("exit 0123456789abcdef\n", 8));
        case.check = Check::Args;
        case.more = vec!["it's\"".into()];
        assert_eq!(stdout(&case), "arg 0 5 it's\"\nargs 0123456789abcdef\n");
        case.check = Check::Env;
        case.more = vec!["A".into(), "B".into()];
        case.environment = vec![("A".into(), String::new())];
        assert_eq!(stdout(&case), "env A=\nenv B absent\nenv 0123456789abcdef\n");
        assert!(
            numbers(u64::MAX)
                .starts_with("signed -1\nunsigned 18446744073709551615\nleast -9223372036854775808\n")
        );
    }
}
