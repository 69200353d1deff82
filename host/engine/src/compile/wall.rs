//! What the process that compiles may still ask of the kernel: memory, threads, and writing its answer.
//!
//! A list of what is allowed; whatever is not on it, known or not yet invented, answers `EPERM`, so that a library that
//! looks for its configuration goes on without. Calls of another ABI of the same processor are refused too: those of
//! x32 have numbers that are not on the list, those of 32-bit programs end the process.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What `clone` must be asked for: a thread of this process, as the C library makes them, and nothing else.
const THREAD_FLAGS: libc::c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// Calls that are allowed whatever their arguments are: none names anything outside of this process.
const ALLOWED: [libc::c_long; 21] = [
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads and their locks. That `clone3` answers `ENOSYS` is the other filter's doing.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // Handlers of its own, so that it can say that its stack overflowed.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Seeds of hash maps, and the time where it takes a call.
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
];

/// Shuts this thread, and every thread that it starts, in. `false` where the kernel has no filters, as under an
/// emulator of one process: there is one wall less, and `qyvol doctor` says so.
///
/// # Errors
///
/// When the kernel has filters and does not take these.
pub(super) fn shut_in() -> Result<bool, seccompiler::Error> {
    for program in filters()? {
        // Sets no-new-privileges first.
        match seccompiler::apply_filter(&program) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Two filters, of which the kernel asks both. The first makes the C library fall back from `clone3`, whose flags lie
/// in memory where no filter sees them, to `clone`. It goes first because the second refuses to be followed.
fn filters() -> Result<[BpfProgram; 2], BackendError> {
    let arch = std::env::consts::ARCH;
    let unknown = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        arch.try_into()?,
    )?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.map(|call| (call, Vec::new())).into();
    rules.extend(conditional()?);
    let allowed = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        arch.try_into()?,
    )?;
    Ok([unknown.try_into()?, allowed.try_into()?])
}

/// Calls that are allowed with some arguments only. The rules of a call are alternatives.
fn conditional() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let equal = |index, value| SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let masked = |index, mask, value| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
    };
    let word = |flag: libc::c_int| u64::from(flag.unsigned_abs());
    // The native code is written, never run: no memory is executable, and none is a file.
    let not_executable = masked(2, word(libc::PROT_EXEC), 0)?;
    let anonymous = masked(3, word(libc::MAP_ANONYMOUS), word(libc::MAP_ANONYMOUS))?;
    // Standard output and error: descriptors that `qyvol` itself inherited may be open beside them.
    let answers = || {
        [libc::STDOUT_FILENO, libc::STDERR_FILENO]
            .into_iter()
            .map(|stream| SeccompRule::new(vec![equal(0, word(stream))?]))
            .collect::<Result<Vec<_>, _>>()
    };
    let this_process = equal(0, u64::from(std::process::id()))?;
    let thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, word(THREAD_FLAGS))?;
    Ok(BTreeMap::from([
        (libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable.clone(), anonymous])?]),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable])?]),
        (libc::SYS_write, answers()?),
        (libc::SYS_writev, answers()?),
        (libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]),
        // `abort`: how a process without memory ends.
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![this_process])?]),
    ]))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::IntoRawFd as _;

    use super::*;

    /// What a call answers: its errno, or 0 for success. Ends at once in a process that the call has made.
    fn errno(number: libc::c_long, arguments: [libc::c_long; 6]) -> i32 {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: the callers pass null, pointers to strings that are never freed, or numbers; where a call succeeds
        // although it should not, it has made something new and changed no memory.
        let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
        let forks = libc::SYS_clone == number || FORKS.contains(&number);
        if forks && answer == 0 {
            // SAFETY: ends the copy of this process that should not be.
            unsafe { libc::_exit(0) };
        }
        if answer == -1 { std::io::Error::last_os_error().raw_os_error().unwrap() } else { 0 }
    }

    #[cfg(target_arch = "x86_64")]
    const FORKS: &[libc::c_long] = &[libc::SYS_fork];
    #[cfg(not(target_arch = "x86_64"))]
    const FORKS: &[libc::c_long] = &[];

    /// Runs in a thread that is shut in; the rest of the test process is not. `false` where there are no filters.
    fn inside(tries: impl FnOnce() + Send + 'static) -> bool {
        std::thread::spawn(|| {
            let shut_in = shut_in().unwrap();
            if shut_in {
                tries();
            } else {
                eprintln!("skipped: this kernel has no seccomp filters");
            }
            shut_in
        })
        .join()
        .unwrap()
    }

    /// Calls that would do harm, each in a form that does none if it passes.
    fn harmful(folder: &std::path::Path) -> Vec<(&'static str, libc::c_long, [libc::c_long; 6])> {
        let name = |name: &str| {
            let text = std::ffi::CString::new(folder.join(name).to_str().unwrap()).unwrap();
            text.into_raw() as libc::c_long
        };
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get().into();
        let here = libc::c_long::from(libc::AT_FDCWD);
        let number = |number: libc::c_int| libc::c_long::from(number);
        let (file, dir, new) = (name("file"), name("dir"), name("new"));
        let open = File::options().write(true).open(folder.join("file")).unwrap();
        let descriptor = number(open.into_raw_fd());
        let mut calls = vec![
            ("openat to read", libc::SYS_openat, [here, file, number(libc::O_RDONLY), 0, 0, 0]),
            ("openat to write", libc::SYS_openat, [here, file, number(libc::O_WRONLY), 0, 0, 0]),
            ("openat2", libc::SYS_openat2, [here, file, 0, 0, 0, 0]),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, [here, 0, 0, 0, 0, 0]),
            ("socket", libc::SYS_socket, [number(libc::AF_UNIX), number(libc::SOCK_STREAM), 0, 0, 0, 0]),
            ("socketpair", libc::SYS_socketpair, [number(libc::AF_UNIX), 1, 0, 0, 0, 0]),
            ("connect", libc::SYS_connect, [descriptor, 0, 0, 0, 0, 0]),
            ("bind", libc::SYS_bind, [descriptor, 0, 0, 0, 0, 0]),
            ("sendto", libc::SYS_sendto, [descriptor, 0, 0, 0, 0, 0]),
            ("recvmsg", libc::SYS_recvmsg, [descriptor, 0, 0, 0, 0, 0]),
            ("read", libc::SYS_read, [descriptor, 0, 0, 0, 0, 0]),
            ("write elsewhere", libc::SYS_write, [descriptor, file, 1, 0, 0, 0]),
            ("pwrite64", libc::SYS_pwrite64, [descriptor, file, 1, 0, 0, 0]),
            ("sendfile", libc::SYS_sendfile, [descriptor, descriptor, 0, 0, 0, 0]),
            ("dup", libc::SYS_dup, [descriptor, 0, 0, 0, 0, 0]),
            ("fcntl", libc::SYS_fcntl, [descriptor, number(libc::F_GETFD), 0, 0, 0, 0]),
            ("ioctl", libc::SYS_ioctl, [descriptor, 0, 0, 0, 0, 0]),
            ("truncate", libc::SYS_truncate, [file, 0, 0, 0, 0, 0]),
            ("ftruncate", libc::SYS_ftruncate, [descriptor, 0, 0, 0, 0, 0]),
            ("unlinkat", libc::SYS_unlinkat, [here, file, 0, 0, 0, 0]),
            ("rmdir by unlinkat", libc::SYS_unlinkat, [here, dir, number(libc::AT_REMOVEDIR), 0, 0, 0]),
            ("renameat2", libc::SYS_renameat2, [here, file, here, new, 0, 0]),
            ("linkat", libc::SYS_linkat, [here, file, here, new, 0, 0]),
            ("symlinkat", libc::SYS_symlinkat, [file, here, new, 0, 0, 0]),
            ("mkdirat", libc::SYS_mkdirat, [here, new, 0o700, 0, 0, 0]),
            ("mknodat", libc::SYS_mknodat, [here, new, 0o100_600, 0, 0, 0]),
            ("fchmodat", libc::SYS_fchmodat, [here, file, 0o777, 0, 0, 0]),
            ("utimensat", libc::SYS_utimensat, [here, file, 0, 0, 0, 0]),
            ("setxattr", libc::SYS_setxattr, [file, file, 0, 0, 0, 0]),
            ("kill of its parent", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
            ("kill of itself", libc::SYS_kill, [number(std::process::id() as i32), 0, 0, 0, 0, 0]),
            ("tgkill of its parent", libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
            ("tkill of its parent", libc::SYS_tkill, [parent, 0, 0, 0, 0, 0]),
            ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, [parent, 0, 0, 0, 0, 0]),
            ("pidfd_open", libc::SYS_pidfd_open, [parent, 0, 0, 0, 0, 0]),
            ("pidfd_send_signal", libc::SYS_pidfd_send_signal, [descriptor, 0, 0, 0, 0, 0]),
            ("pidfd_getfd", libc::SYS_pidfd_getfd, [descriptor, 0, 0, 0, 0, 0]),
            ("ptrace", libc::SYS_ptrace, [number(libc::PTRACE_PEEKDATA.cast_signed()), parent, 0, 0, 0, 0]),
            ("process_vm_readv", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0]),
            ("process_vm_writev", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0, 0]),
            ("execve", libc::SYS_execve, [new, 0, 0, 0, 0, 0]),
            ("execveat", libc::SYS_execveat, [here, new, 0, 0, 0, 0]),
            ("a process by clone", libc::SYS_clone, [number(libc::SIGCHLD), 0, 0, 0, 0, 0]),
            ("a namespace by clone", libc::SYS_clone, [number(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0]),
            ("unshare", libc::SYS_unshare, [0, 0, 0, 0, 0, 0]),
            ("setns", libc::SYS_setns, [descriptor, 0, 0, 0, 0, 0]),
            ("mount", libc::SYS_mount, [0, new, 0, 0, 0, 0]),
            ("fsopen", libc::SYS_fsopen, [file, 0, 0, 0, 0, 0]),
            ("chroot", libc::SYS_chroot, [new, 0, 0, 0, 0, 0]),
            ("keyctl", libc::SYS_keyctl, [-1, 0, 0, 0, 0, 0]),
            ("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0, 0]),
            ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0, 0, 0]),
            ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, 0, 0, 0]),
            ("io_uring_setup", libc::SYS_io_uring_setup, [0, 0, 0, 0, 0, 0]),
            ("memfd_create", libc::SYS_memfd_create, [file, 0, 0, 0, 0, 0]),
            ("prctl", libc::SYS_prctl, [number(libc::PR_GET_DUMPABLE), 0, 0, 0, 0, 0]),
            ("prlimit64", libc::SYS_prlimit64, [0, number(libc::RLIMIT_AS as i32), 0, 0, 0, 0]),
            ("seccomp", libc::SYS_seccomp, [-1, 0, 0, 0, 0, 0]),
            ("setuid", libc::SYS_setuid, [number(rustix::process::getuid().as_raw() as i32), 0, 0, 0, 0, 0]),
            ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0, 0]),
            ("a call that is not yet invented", 4000, [0; 6]),
        ];
        let private = number(libc::MAP_PRIVATE);
        let executable = number(libc::PROT_READ | libc::PROT_EXEC);
        calls.extend([
            ("memory to execute", libc::SYS_mmap, [0, 4096, executable, private | 0x20, -1, 0]),
            ("a file in memory", libc::SYS_mmap, [0, 4096, number(libc::PROT_NONE), private, descriptor, 0]),
            ("mprotect to execute", libc::SYS_mprotect, [0, 0, executable, 0, 0, 0]),
        ]);
        #[cfg(target_arch = "x86_64")]
        calls.extend([
            ("open", libc::SYS_open, [file, number(libc::O_WRONLY), 0, 0, 0, 0]),
            ("creat", libc::SYS_creat, [file, 0o600, 0, 0, 0, 0]),
            ("unlink", libc::SYS_unlink, [file, 0, 0, 0, 0, 0]),
            ("rmdir", libc::SYS_rmdir, [dir, 0, 0, 0, 0, 0]),
            ("rename", libc::SYS_rename, [file, new, 0, 0, 0, 0]),
            ("mkdir", libc::SYS_mkdir, [new, 0o700, 0, 0, 0, 0]),
            ("mknod", libc::SYS_mknod, [new, 0o100_600, 0, 0, 0, 0]),
            ("fork", libc::SYS_fork, [0; 6]),
            ("getpid of x32", 0x4000_0000 | libc::SYS_getpid, [0; 6]),
            ("write of x32", 0x4000_0000 | libc::SYS_write, [1, file, 0, 0, 0, 0]),
        ]);
        calls
    }

    #[test]
    fn nothing_outside_is_reached() {
        let folder = std::env::temp_dir().join(format!("qyvol-wall-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("dir")).unwrap();
        std::fs::write(folder.join("file"), "kept").unwrap();
        let calls = harmful(&folder);
        inside(move || {
            let passed: Vec<_> = calls
                .iter()
                .map(|(name, number, arguments)| (*name, errno(*number, *arguments)))
                .filter(|(_, errno)| *errno != libc::EPERM)
                .collect();
            assert!(passed.is_empty(), "not refused (with what they answered): {passed:?}");
        });
        assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"kept");
        assert!(folder.join("dir").is_dir() && !folder.join("new").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_compiler_has_what_it_needs() {
        inside(|| {
            assert_eq!(errno(libc::SYS_clone3, [0; 6]), libc::ENOSYS, "the C library must fall back");
            // A thread inside starts threads and gets memory, below and above what `malloc` maps.
            let sum: usize = (0..4)
                .map(|number| std::thread::spawn(move || vec![number; 1 << (8 * number)]))
                .map(|thread| thread.join().unwrap().len())
                .sum();
            assert_eq!(sum, 1 + (1 << 8) + (1 << 16) + (1 << 24));
            let mut settings = crate::config::Settings::default();
            for interruption in [false, true] {
                settings.interruption = interruption;
                let engine = crate::config::compiler(&settings).unwrap();
                engine.precompile_module(b"\0asm\x01\0\0\0").unwrap();
            }
        });
    }

    /// What a thread inside starts is inside too.
    #[test]
    fn threads_cannot_leave() {
        inside(|| {
            let outside = std::thread::spawn(|| File::open("/").is_ok()).join().unwrap();
            assert!(!outside);
        });
    }
}
