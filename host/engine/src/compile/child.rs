//! The process that compiles.
//!
//! Before it reads the first byte it gives up what it could do harm with: its memory, time and file sizes are
//! limited; it ends with its parent; and once the input is read, a filter lets pass only the calls of `wall.rs`: memory,
//! threads of its own, writing the answer. What is left is arithmetic.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{MODULE_BYTES_MAX, wall};
use crate::cache::Kind;
use crate::config::{Settings, compiler};

/// The exit code that says: the input is wrong, not the compiler.
pub(super) const INVALID: i32 = 3;
/// The largest native code that is written, in bytes.
const CODE_BYTES_MAX: u64 = 8 << 30;
/// The most bytes of debugging information that a trap reads for its backtrace.
const DEBUG_BYTES_MAX: usize = 16 << 20;
/// The most bytes of it that are tables of lines: reading them takes up to 30 times as many.
const DEBUG_LINE_BYTES_MAX: usize = 2 << 20;

pub(super) fn kind_argument(kind: Kind) -> &'static str {
    match kind {
        Kind::Module => "module",
        Kind::Component => "component",
    }
}

/// Compiles standard input to standard output. `arguments` are those that [`super::Compiler`] adds: kind, flavour,
/// bytes of memory, seconds.
#[must_use]
pub fn main(arguments: &[String]) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Invalid(message)) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(INVALID.unsigned_abs() as u8)
        }
        Err(Failure::Other(message)) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    /// The module is to blame.
    Invalid(String),
    /// The compiler or the system is.
    Other(String),
}

impl Failure {
    fn other(error: impl ToString) -> Self {
        Self::Other(error.to_string())
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [kind, flavour, memory, seconds] = arguments else {
        return Err(Failure::other("this command is for qyvol's own use"));
    };
    let number = |text: &String| text.parse::<u64>().map_err(Failure::other);
    limit(number(memory)?, number(seconds)?)?;
    let settings = Settings::from_code_flavour(flavour).ok_or_else(|| Failure::other("unknown flavour"))?;
    let mut module = Vec::new();
    std::io::stdin().lock().take(MODULE_BYTES_MAX + 1).read_to_end(&mut module).map_err(Failure::other)?;
    // Where the kernel has no filters, there is one wall less.
    wall::shut_in().map_err(Failure::other)?;
    let settings = Settings { source_lines: may_be_read(&module), ..settings };
    let engine = compiler(&settings).map_err(Failure::other)?;
    let code = match kind.as_str() {
        "module" => engine.precompile_module(&module),
        "component" => engine.precompile_component(&module),
        _ => return Err(Failure::other("unknown kind")),
    };
    let code = code.map_err(|error| Failure::Invalid(format!("{error:#}")))?;
    std::io::stdout().lock().write_all(&code).map_err(Failure::other)
}

/// Whether a program's debugging information is read when it traps. That is done within the process of the guest, in one
/// piece, and takes many times the memory of what is read; a table of lines that compresses to nothing would do harm.
fn may_be_read(program: &[u8]) -> bool {
    let (mut all, mut lines) = (0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(program) {
        match payload {
            Ok(wasmparser::Payload::CustomSection(section)) if section.name().starts_with(".debug_") => {
                all += section.data().len();
                if section.name() == ".debug_line" {
                    lines += section.data().len();
                }
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    all <= DEBUG_BYTES_MAX && lines <= DEBUG_LINE_BYTES_MAX
}

/// Limits memory, time, files; and ends this process with its parent.
fn limit(memory_bytes: u64, seconds: u64) -> Result<(), Failure> {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let limits = [
        (Resource::As, memory_bytes),
        // All threads of the compiler count; one that runs alone is caught by the parent's clock.
        (Resource::Cpu, seconds.saturating_mul(processors)),
        (Resource::Fsize, CODE_BYTES_MAX),
        (Resource::Core, 0),
        (Resource::Nofile, 64),
    ];
    for (resource, most) in limits {
        let most = Some(most);
        setrlimit(resource, Rlimit { current: most, maximum: most }).map_err(Failure::other)?;
    }
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(Failure::other)?;
    if rustix::process::getppid() != parent {
        return Err(Failure::other("the parent is gone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_debugging_information_is_left_alone() {
        let module = |name: &str, bytes: usize| {
            wat::parse_str(format!("(module (@custom \"{name}\" \"{}\"))", "x".repeat(bytes))).unwrap()
        };
        assert!(may_be_read(&module(".debug_line", DEBUG_LINE_BYTES_MAX)));
        assert!(!may_be_read(&module(".debug_line", DEBUG_LINE_BYTES_MAX + 1)));
        assert!(may_be_read(&module(".debug_info", DEBUG_LINE_BYTES_MAX + 1)));
        assert!(may_be_read(&module("other", DEBUG_BYTES_MAX + 1)));
        assert!(!may_be_read(&module(".debug_str", DEBUG_BYTES_MAX + 1)));
        assert!(!may_be_read(b"\0asm rubbish"));
    }
}
