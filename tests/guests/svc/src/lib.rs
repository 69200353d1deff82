//! What the programs share: how they are called, and what they check.

use std::fmt::Debug;
use std::process::exit;

use qyv::net::Framing;

/// The argument at this place, the first being 1.
pub fn argument(place: usize) -> String {
    std::env::args()
        .nth(place)
        .unwrap_or_else(|| fail("arguments", &format!("the one at {place} is missing")))
}

/// The number at this place.
pub fn number(place: usize) -> usize {
    let text = argument(place);
    text.parse().unwrap_or_else(|_| fail("arguments", &format!("`{text}` is no number")))
}

/// The protocol at this place, as in a manifest.
pub fn framing(place: usize) -> Framing {
    match argument(place).as_str() {
        "lines" => Framing::Lines,
        "frames" => Framing::Frames,
        "stream" => Framing::Stream,
        other => fail("arguments", &format!("`{other}` is no protocol")),
    }
}

/// What came out of a case, or the end of the program.
pub fn check<T, E: Debug>(case: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| fail(case, &format!("{error:?}")))
}

/// Compares, and ends the program when it is something else.
pub fn same<T: PartialEq + Debug>(case: &str, found: &T, expected: &T) {
    if found != expected {
        fail(case, &format!("it is {found:?} and should be {expected:?}"));
    }
}

/// Ends the program as a failure.
pub fn fail(case: &str, why: &str) -> ! {
    eprintln!("FAILED {case}: {why}");
    exit(1);
}

/// Message number `index`: `bytes` letters that differ from message to message.
pub fn message(index: usize, bytes: usize) -> String {
    (0..bytes).map(|place| char::from(b'a' + ((index + place) % 26) as u8)).collect()
}
