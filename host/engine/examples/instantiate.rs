//! Measures what one run of an empty command costs when its program is loaded: a store, an instance from the pool, the
//! call of `_start`, and everything given back. Prints the median in nanoseconds; `cargo xtask bench` calls it.
//!
//! ```text
//! cargo run --release -p qyvol-engine --example instantiate [RUNS]
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use qyv_vfs::Budget;
use qyv_wasi::ProcessBuilder;
use qyvol_engine::{
    Cache, Compiler, Ending, Interrupt, Pool, Program, Settings, Source, Start, Stdio, compile, hash,
};

/// An empty command: a module with one page of memory and a `_start` that returns.
const EMPTY: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";

const COMPILE: &str = "__compile";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == COMPILE
    {
        return compile::child::main(rest);
    }
    match measure(arguments.first().and_then(|runs| runs.parse().ok()).unwrap_or(20_000)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(runs: usize) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("qyvol-instantiate-{}", std::process::id()));
    let cache = Cache::open(&folder)?;
    let interrupt = Interrupt::new()?;
    let pool = Pool { instances: 16, memory_bytes: 64 << 20 };
    let settings = Settings { pool: Some(pool), ..Settings::default() };
    let source = Source { hash: hash(EMPTY), bytes: &|| Ok(EMPTY.to_vec()) };
    let program =
        Program::load(&source, &settings, &cache, &Compiler::this_program(COMPILE)?, &interrupt, &mut ())?;
    let stdio = Stdio::default();
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let begin = Instant::now();
        let process = ProcessBuilder::new().arg("empty").build().map_err(|error| error.to_string())?;
        let start = Start {
            process,
            stdio: stdio.clone(),
            memory: Budget::new(1 << 20),
            outside: None,
            interrupt: interrupt.clone(),
            watchdog: None,
        };
        let finished = program.run(start)?;
        times.push(begin.elapsed().as_nanos());
        if finished.ending != Ending::Exited(0) {
            return Err(format!("{}", finished.ending).into());
        }
    }
    std::fs::remove_dir_all(&folder)?;
    times.sort_unstable();
    println!("{}", times[runs / 2]);
    Ok(())
}
