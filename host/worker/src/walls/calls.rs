//! The system calls that a worker may make: a list of what is allowed. Whatever is not on it, known or not yet invented,
//! answers `EPERM`; calls of another ABI of the same processor end the process.
//!
//! What is missing, and why it matters: no program is executed and no process made (threads are, with the flags of the C
//! library alone), nobody else is signalled, traced or read, no namespace, mount, key, filter or kernel is touched, no
//! socket listens, and none is made but to other workers. Files are made, changed and removed where the walls of files
//! let it, but not given other owners or modes. Memory is never writable and executable at once.

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

/// `prctl`: the name of memory, for those who look at a process.
const PR_SET_VMA: libc::c_int = 0x5356_4d41;

/// `prctl`: what the kernel told this process at its start, such as the size of pages.
const PR_GET_AUXV: libc::c_int = 0x4155_5856;

/// Calls that are allowed whatever their arguments are.
pub(super) const ALLOWED: &[libc::c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
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
    // Handlers of its own: traps of guests, stacks that overflow.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Time and chance.
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // Who it is itself.
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_getegid,
    libc::SYS_getgid,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcwd,
    // What is open.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_copy_file_range,
    // Files by name, where the other wall lets it.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_utimensat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    // Sockets that it has.
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
];

/// What the C library of this processor calls besides, for the same purposes.
#[cfg(target_arch = "x86_64")]
pub(super) const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_readlink,
    libc::SYS_access,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];

/// What the C library of this processor calls besides, for the same purposes.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALLOWED_HERE: &[libc::c_long] = &[];

/// Shuts this thread, and every thread that it starts, in. `outside`: whether sockets to hosts may be made. `false` where
/// the kernel has no filters.
pub(super) fn shut_in(outside: bool) -> Result<(), seccompiler::Error> {
    for program in filters(outside)? {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

/// Two filters, of which the kernel asks both. The first makes the C library fall back from `clone3`, whose flags lie
/// in memory where no filter sees them, to `clone`. It goes first because the second refuses to be followed.
fn filters(outside: bool) -> Result<[BpfProgram; 2], BackendError> {
    let arch = std::env::consts::ARCH;
    let unknown = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        arch.try_into()?,
    )?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    rules.extend(conditional(outside)?);
    let allowed = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        arch.try_into()?,
    )?;
    Ok([unknown.try_into()?, allowed.try_into()?])
}

/// Calls that are allowed with some arguments only. The rules of a call are alternatives.
fn conditional(outside: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let equal = |index, value| SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let masked = |index, mask, value| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
    };
    let word = |number: libc::c_int| u64::from(number.cast_unsigned());
    let one_of = |index, values: &[libc::c_int]| {
        values
            .iter()
            .map(|value| SeccompRule::new(vec![equal(index, word(*value))?]))
            .collect::<Result<Vec<_>, _>>()
    };
    let no_exec = masked(2, word(libc::PROT_EXEC), 0)?;
    let no_write = masked(2, word(libc::PROT_WRITE), 0)?;
    let here = equal(0, u64::from(std::process::id()))?;
    let thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, word(THREAD_FLAGS))?;
    let itself = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?;
    let asks = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    // The kind is in the low bits, flags are above them.
    let socket = |family, kind| SeccompRule::new(vec![equal(0, word(family))?, masked(1, 0xf, word(kind))?]);
    let mut sockets = vec![socket(libc::AF_UNIX, libc::SOCK_STREAM)?];
    if outside {
        for family in [libc::AF_INET, libc::AF_INET6] {
            sockets.push(socket(family, libc::SOCK_STREAM)?);
            // Names are looked up by datagrams.
            sockets.push(socket(family, libc::SOCK_DGRAM)?);
        }
        // The C library asks which addresses the host has before it sorts those that it found.
        sockets.push(SeccompRule::new(vec![equal(0, word(libc::AF_NETLINK))?, equal(2, 0)?])?);
    }
    let mut calls = BTreeMap::from([
        (libc::SYS_mmap, vec![SeccompRule::new(vec![no_exec.clone()])?]),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![no_exec])?, SeccompRule::new(vec![no_write])?]),
        (libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]),
        // `abort`, and nobody else.
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![here])?]),
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![itself, asks])?]),
        (libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME, PR_SET_VMA, PR_GET_AUXV])?),
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, vec![socket(libc::AF_UNIX, libc::SOCK_STREAM)?]),
        (
            libc::SYS_fcntl,
            one_of(
                1,
                &[
                    libc::F_DUPFD_CLOEXEC,
                    libc::F_GETFD,
                    libc::F_SETFD,
                    libc::F_GETFL,
                    libc::F_SETFL,
                    libc::F_SETPIPE_SZ,
                    libc::F_ADD_SEALS,
                    libc::F_GET_SEALS,
                ],
            )?,
        ),
    ]);
    let requests = [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::TCGETS].map(u64::from);
    let requests: Result<Vec<_>, _> =
        requests.into_iter().map(|request| SeccompRule::new(vec![equal(1, request)?])).collect();
    calls.insert(libc::SYS_ioctl, requests?);
    if outside {
        let any = SeccompRule::new(vec![masked(0, 0, 0)?])?;
        // The netlink socket that asks, and nothing that listens: `listen` is not on the list.
        calls.insert(libc::SYS_bind, vec![any]);
    }
    Ok(calls)
}
