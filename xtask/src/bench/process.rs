//! A process, its time and its memory.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// What one run took.
pub(crate) struct Measured {
    /// From before it was started to after it was gone.
    pub(crate) wall: Duration,
    /// The most memory that was resident at a time. This program's own, some 5 MiB, is its lower bound: the child is
    /// this program until it starts the other.
    pub(crate) memory_peak_kib: u64,
    pub(crate) stdout: String,
}

/// Runs a command to its successful end.
pub(crate) fn measure(command: &mut Command) -> Result<Measured> {
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let mut stdout = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout).with_context(|| format!("read from {command:?}"))?;
    }
    let pid = libc::pid_t::try_from(child.id()).context("a process number is too large")?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `status` and `usage` outlive the call, which writes to nothing else; all zeros are a valid `rusage`. The
    // process is a child that nobody else waits for: `child` is not used again.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    let wall = begin.elapsed();
    ensure!(waited == pid, "cannot wait for {command:?}: {}", std::io::Error::last_os_error());
    ensure!(status == 0, "{command:?} failed: status {status}");
    Ok(Measured { wall, memory_peak_kib: usage.ru_maxrss.unsigned_abs(), stdout })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_process_and_demands_success() {
        let measured = measure(Command::new("sh").args(["-c", "sleep 0.05; echo hello"])).unwrap();
        assert_eq!(measured.stdout, "hello\n");
        assert!(measured.wall >= Duration::from_millis(50));
        assert!(measured.memory_peak_kib > 100, "{}", measured.memory_peak_kib);
        assert!(measure(&mut Command::new("false")).is_err());
    }
}
