//! Compilation, in a process of its own.
//!
//! A module is untrusted input to a large compiler, and wasmtime does not promise that compiling ends in reasonable
//! time or memory. So a child does it: limited in memory and time, without network and files (see [`child`]), with
//! the module on its standard input and a file of the cache as its standard output.

pub mod child;
mod footprint;
mod wall;

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object::ReadCache;
use rustix::event::PollFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cache::Kind;
use crate::cache::Partial;
use crate::config::Settings;
use crate::interrupt::Interrupt;
use crate::{Error, Result};

/// How long compilation may take when nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest module that is compiled, in bytes.
pub const MODULE_BYTES_MAX: u64 = 512 << 20;
/// How much the child's message of failure may have.
const MESSAGE_BYTES_MAX: u64 = 8 << 10;
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Watches a compilation.
pub trait Progress {
    /// Called when a compilation of so many bytes begins, then about ten times a second.
    fn compiling(&mut self, module_bytes: u64, elapsed: Duration);
    /// Called when it is over, with or without success.
    fn done(&mut self);
}

/// Watches nothing.
impl Progress for () {
    fn compiling(&mut self, _: u64, _: Duration) {}
    fn done(&mut self) {}
}

/// How to start the process that compiles: a program that calls [`child::main`].
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// Arguments before those that [`child::main`] reads.
    pub arguments: Vec<OsString>,
    /// The time it may take.
    pub timeout: Duration,
    /// The memory it may use, in bytes of address space.
    pub memory_bytes: u64,
}

impl Compiler {
    /// A compiler that starts this very program again, with `argument` as its first.
    ///
    /// # Errors
    ///
    /// When the program's own path is not known.
    pub fn this_program(argument: &str) -> std::io::Result<Self> {
        // Not by its path, where another version may be by now, or nothing.
        let itself = Path::new("/proc/self/exe");
        let program = if itself.exists() { itself.to_owned() } else { std::env::current_exe()? };
        Ok(Self {
            program,
            arguments: vec![argument.into()],
            timeout: DEFAULT_TIMEOUT,
            memory_bytes: default_memory_bytes(),
        })
    }

    /// Compiles `module` into `partial`; what came out, and the bytes that one run of it costs besides what it grows.
    pub(crate) fn compile(
        &self,
        module: &[u8],
        settings: &Settings,
        partial: &Partial,
        interrupt: &Interrupt,
        progress: &mut dyn Progress,
    ) -> Result<(Kind, u64)> {
        let kind = kind_of(module)?;
        let size = module.len() as u64;
        if size > MODULE_BYTES_MAX {
            return Err(Error::TooLarge { bytes: size, limit: MODULE_BYTES_MAX });
        }
        if kind == Kind::Component {
            crate::component::check(module).map_err(|refusal| Error::Invalid(refusal.to_string()))?;
        }
        let result = self.compile_in_child(module, kind, settings, partial, interrupt, progress);
        progress.done();
        result?;
        footprint::instance_bytes(&ReadCache::new(&partial.file), kind)
            .map(|bytes| (kind, bytes))
            .ok_or_else(|| Error::CompilerFailed("its native code cannot be read".into()))
    }

    fn compile_in_child(
        &self,
        module: &[u8],
        kind: Kind,
        settings: &Settings,
        partial: &Partial,
        interrupt: &Interrupt,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let start = Instant::now();
        let deadline = start + self.timeout;
        progress.compiling(module.len() as u64, Duration::ZERO);
        let mut child = Killed(self.spawn(kind, settings, partial)?);
        let mut stdin = child.0.stdin.take();
        let ended = std::thread::scope(|scope| {
            // Written from a thread of its own: a child that reads slowly must not delay the time limit.
            scope.spawn(move || {
                if let Some(stdin) = &mut stdin {
                    // A child that ended early reports why itself.
                    let _ = stdin.write_all(module);
                }
                drop(stdin);
            });
            let ended = wait_for(
                &mut child.0,
                deadline,
                interrupt,
                |elapsed| {
                    progress.compiling(module.len() as u64, elapsed);
                },
                start,
            );
            if ended.is_err() {
                // The writer above ends when the child does.
                let _ = child.0.kill();
            }
            ended
        });
        match ended? {
            None => Err(Error::CompileTimeout(self.timeout)),
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.explain(&mut child.0, status)),
        }
    }

    fn spawn(&self, kind: Kind, settings: &Settings, partial: &Partial) -> Result<Child> {
        let output = partial.file.try_clone().map_err(|error| Error::cache(&self.program, error))?;
        Command::new(&self.program)
            .args(&self.arguments)
            .arg(child::kind_argument(kind))
            .arg(settings.code_flavour())
            .arg(self.memory_bytes.to_string())
            .arg(self.timeout.as_secs().saturating_add(1).to_string())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::CompilerFailed(format!("`{}`: {error}", self.program.display())))
    }

    /// What went wrong in a child that failed.
    fn explain(&self, child: &mut Child, status: std::process::ExitStatus) -> Error {
        use std::os::unix::process::ExitStatusExt as _;
        let mut message = String::new();
        if let Some(stderr) = &mut child.stderr {
            let _ = stderr.take(MESSAGE_BYTES_MAX).read_to_string(&mut message);
        }
        let message = message.trim();
        if status.code() == Some(child::INVALID) {
            return Error::Invalid(message.to_owned());
        }
        match status.signal() {
            // SIGXCPU: the second wall behind the time limit.
            Some(libc::SIGXCPU | libc::SIGKILL) => Error::CompileTimeout(self.timeout),
            // Rust ends a process that gets no memory with SIGABRT.
            Some(libc::SIGABRT | libc::SIGSEGV) => Error::CompilerFailed(format!(
                "it needed more than the {} MiB that it may use, or crashed",
                self.memory_bytes >> 20
            )),
            _ if message.is_empty() => Error::CompilerFailed(status.to_string()),
            _ => Error::CompilerFailed(message.to_owned()),
        }
    }
}

/// A child that does not outlive its parent's interest.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a child's end; `None` when its time is over.
fn wait_for(
    child: &mut Child,
    deadline: Instant,
    interrupt: &Interrupt,
    mut tick: impl FnMut(Duration),
    start: Instant,
) -> Result<Option<std::process::ExitStatus>> {
    let failed = |error: std::io::Error| Error::CompilerFailed(error.to_string());
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(Some(status));
        }
        let now = Instant::now();
        if now >= deadline {
            let _ = child.kill();
            return Ok(None);
        }
        tick(now - start);
        interrupt
            .wait(&[(pidfd.as_fd(), PollFlags::IN)], Some(deadline.min(now + TICK)))
            .map_err(Error::Stopped)?;
    }
}

/// Whether bytes are a module or a component, by their first eight.
///
/// # Errors
///
/// When they are neither; [`Error::Precompiled`] when they are native code.
pub fn kind_of(bytes: &[u8]) -> Result<Kind> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(b"\x7fELF") {
        return Err(Error::Precompiled);
    }
    let what = match bytes.get(..8) {
        Some(b"\0asm\x01\0\0\0") => return Ok(Kind::Module),
        Some(b"\0asm\x0d\0\x01\0") => return Ok(Kind::Component),
        Some(start) if start.starts_with(b"\0asm") => {
            "it is of a version of WebAssembly that is not known here"
        }
        _ if bytes.is_empty() => "the file is empty",
        _ => "it does not begin with `\\0asm`",
    };
    Err(Error::Invalid(what.to_owned()))
}

/// Three quarters of the machine's memory, at least 2 GiB of address space.
fn default_memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let total = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    (total / 4 * 3).max(2 << 30)
}
