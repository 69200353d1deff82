//! The contract app in Rust; `tests/polyglot/contract.md` says what each check does.

mod bytes;
mod failures;
mod files;
mod services;

use std::collections::HashSet;
use std::env;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{SplitMix64, fnv1a};

/// What every check is given.
struct Given {
    seed: u64,
    nonce: String,
    /// The arguments after the nonce.
    more: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let check = arguments.next().unwrap_or_default();
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or_default();
    let nonce = arguments.next().unwrap_or_default();
    let given = Given { seed, nonce, more: arguments.collect() };
    match check.as_str() {
        "exit" => return exit(&given),
        "args" => args(&given),
        "env" => variables(&given),
        "stdin" => stdin(&given),
        "streams" => streams(&given),
        "files" => files::files(&given),
        "missing" => files::missing(&given),
        "readonly" => files::readonly(&given),
        "big" => files::big(&given),
        "clocks" => clocks(&given),
        "random" => random(),
        "sleep" => sleep(&given),
        "memory" => failures::memory(&given),
        "loop" => failures::endless(&given),
        "recursion" => failures::recursion(&given),
        "uncaught" => failures::uncaught(&given),
        "dial" => services::dial(&given),
        "serve" => services::serve(&given),
        "refused" => services::refused(&given),
        "numbers" => numbers(&given),
        unknown => {
            eprintln!("there is no check `{unknown}`");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

fn exit(given: &Given) -> ExitCode {
    println!("exit {}", given.nonce);
    // At most 100, so it fits.
    ExitCode::from(1 + (given.seed % 100) as u8)
}

fn args(given: &Given) {
    for (position, argument) in given.more.iter().enumerate() {
        println!("arg {position} {} {argument}", argument.len());
    }
    println!("args {}", given.nonce);
}

fn variables(given: &Given) {
    for name in &given.more {
        match env::var(name) {
            Ok(value) => println!("env {name}={value}"),
            Err(_) => println!("env {name} absent"),
        }
    }
    println!("env {}", given.nonce);
}

fn stdin(given: &Given) {
    let mut bytes = Vec::new();
    match io::stdin().read_to_end(&mut bytes) {
        Ok(length) => println!("stdin {length} {:016x}", fnv1a(&bytes)),
        Err(error) => println!("stdin failed {error}"),
    }
    println!("stdin {}", given.nonce);
}

fn streams(given: &Given) {
    for i in 0..50 {
        println!("out {i} {}", given.nonce);
        // Each line is there before the next, whatever the buffers are like.
        let _ = io::stdout().flush();
        eprintln!("err {i} {}", given.nonce);
    }
}

fn clocks(given: &Given) {
    let mut last = Instant::now();
    let mut forward = true;
    for _ in 0..1000 {
        let now = Instant::now();
        forward &= now >= last;
        last = now;
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(5) {}
    println!("clocks {}", if forward { "monotonic" } else { "backwards" });
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let bound = |index: usize| given.more.get(index).and_then(|bound| bound.parse().ok());
    let within = bound(0).is_some_and(|low: u64| low <= wall) && bound(1).is_some_and(|high| wall <= high);
    println!("clocks {}", if within { "within" } else { "outside" });
    println!("clocks {}", given.nonce);
}

/// The standard library has no random bytes for programs; WASI's file for them is the call itself.
mod wasi {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn random_get(into: *mut u8, length: usize) -> u16;
    }
}

fn draw() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: the call writes at most so many bytes to where they are.
    let errno = unsafe { wasi::random_get(bytes.as_mut_ptr(), bytes.len()) };
    assert_eq!(errno, 0, "the system has no random bytes");
    bytes
}

fn random() {
    let distinct: HashSet<[u8; 16]> = (0..64).map(|_| draw()).collect();
    println!("random {} distinct", distinct.len());
    let hexadecimal: String = draw().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("random {hexadecimal}");
}

fn sleep(given: &Given) {
    let time = given.more.first().and_then(|time| time.parse().ok()).unwrap_or_default();
    let time = Duration::from_millis(time);
    let start = Instant::now();
    thread::sleep(time);
    println!("sleep {}", if start.elapsed() >= time { "enough" } else { "short" });
    println!("sleep {}", given.nonce);
}

fn numbers(given: &Given) {
    println!("signed {}", given.seed.cast_signed());
    println!("unsigned {}", given.seed);
    println!("least {}", i64::MIN);
    println!("most {}", i64::MAX);
    let mut generator = SplitMix64(given.seed);
    for _ in 0..4 {
        // Below 2^40, so both conversions are exact.
        let eighths = (generator.next() % (1 << 40)).cast_signed() - (1 << 39);
        println!("fixed {:.3}", eighths as f64 / 8.0);
    }
}
