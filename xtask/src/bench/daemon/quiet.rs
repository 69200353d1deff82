//! Keeping the other work of the machine out of what is measured, as far as this process may.

use std::fs;
use std::sync::Once;

/// Lets a process go ahead of the other sessions of the machine. Where the kernel groups processes by session
/// (autogroup), their nice values count within a session only, and `nice` keeps nobody out. Without the right to it, or
/// without such groups, nothing happens.
pub(super) fn shield(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/autogroup"), "-19");
}

/// While it lives, this thread and those that it starts run whenever they want to, as if they were on another machine:
/// what a client waits for is then the server, not a processor that others hold.
pub(super) struct Elsewhere(());

impl Elsewhere {
    /// Puts this thread elsewhere. Where that is not allowed it is said once.
    pub(super) fn begin() -> Self {
        static SAID: Once = Once::new();
        if !schedule(libc::SCHED_FIFO, 1) {
            SAID.call_once(|| {
                eprintln!("note: the client competes with what it measures; `sudo` would let it go ahead");
            });
        }
        Self(())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        schedule(libc::SCHED_OTHER, 0);
    }
}

/// Changes how the kernel schedules this thread. Returns whether it was allowed.
fn schedule(policy: libc::c_int, priority: libc::c_int) -> bool {
    // SAFETY: all zeros is a value of this structure of numbers.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: 0 is the calling thread, and the structure is read only.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}
