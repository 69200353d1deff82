use std::io::ErrorKind;
use std::net::ToSocketAddrs as _;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::net::UnixStream;

use super::*;

/// Runs within walls: they hold for the thread that builds them, and end with it.
fn within(outside: bool, work: impl FnOnce(&dyn Fn(&str) -> bool) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let inside = std::thread::spawn(move || {
        let walls = build(&[path], &[], outside).unwrap();
        work(&|name| walls.iter().any(|wall| wall.name == name && wall.on));
    });
    inside.join().unwrap();
}

#[test]
fn behind_the_walls_only_what_was_left_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let (read, write, other) =
        (folder.path().join("read"), folder.path().join("write"), folder.path().join("other"));
    for path in [&read, &write, &other] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), "text").unwrap();
    }
    let inside = std::thread::spawn(move || {
        let walls = build(std::slice::from_ref(&read), std::slice::from_ref(&write), false).unwrap();
        let on = |name: &str| walls.iter().any(|wall| wall.name == name && wall.on);
        assert!(on("no-new-privileges"));
        if !on("landlock") {
            println!("Landlock does not stand here");
            return;
        }
        assert!(std::fs::read(read.join("file")).is_ok());
        assert!(std::fs::write(write.join("new"), "text").is_ok());
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        };
        denied(std::fs::write(read.join("file"), "changed"));
        denied(std::fs::write(read.join("new"), "text"));
        denied(std::fs::remove_file(read.join("file")));
        denied(std::fs::read(other.join("file")).map(drop));
        denied(std::fs::read_dir(&other).map(drop));
        denied(std::fs::read("/etc/passwd").map(drop));
        denied(std::fs::read("/etc/hosts").map(drop));
        denied(std::fs::rename(write.join("new"), other.join("new")));
    });
    inside.join().unwrap();
}

/// What a call answers: its errno, or 0 for success. Ends at once in a process that the call has made.
fn errno(number: libc::c_long, arguments: [libc::c_long; 6]) -> i32 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the callers pass null or numbers, which no call that should be refused could do harm with.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == 0 && number == libc::SYS_clone {
        // SAFETY: ends the copy of this process that should not be.
        unsafe { libc::_exit(0) };
    }
    if answer < 0 { std::io::Error::last_os_error().raw_os_error().unwrap() } else { 0 }
}

/// Calls that would do harm, in forms that do none if they pass.
fn harmful() -> Vec<(&'static str, libc::c_long, [libc::c_long; 6])> {
    let parent = libc::c_long::from(rustix::process::getppid().unwrap().as_raw_nonzero().get());
    let own = libc::c_long::from(std::process::id());
    let number = |number: libc::c_int| libc::c_long::from(number);
    let open = File::open("/dev/null").unwrap().into_raw_fd();
    let open = number(open);
    let write_and_execute = number(libc::PROT_WRITE | libc::PROT_EXEC);
    let anonymous = number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let mut calls = vec![
        ("execve", libc::SYS_execve, [0; 6]),
        ("execveat", libc::SYS_execveat, [-1, 0, 0, 0, 0, 0]),
        ("a process by clone", libc::SYS_clone, [number(libc::SIGCHLD), 0, 0, 0, 0, 0]),
        ("a namespace by clone", libc::SYS_clone, [number(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0]),
        ("unshare", libc::SYS_unshare, [0; 6]),
        ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [number(libc::PTRACE_PEEKDATA.cast_signed()), parent, 0, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0, 0]),
        ("pidfd_open", libc::SYS_pidfd_open, [parent, 0, 0, 0, 0, 0]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0, 0, 0]),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal, [-1, 0, 0, 0, 0, 0]),
        ("kill of its parent", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
        ("kill of itself", libc::SYS_kill, [own, 0, 0, 0, 0, 0]),
        ("tkill", libc::SYS_tkill, [parent, 0, 0, 0, 0, 0]),
        ("tgkill of its parent", libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
        ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, [parent, 0, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [0; 6]),
        ("umount2", libc::SYS_umount2, [0; 6]),
        ("pivot_root", libc::SYS_pivot_root, [0; 6]),
        ("chroot", libc::SYS_chroot, [0; 6]),
        ("fsopen", libc::SYS_fsopen, [0; 6]),
        ("open_tree", libc::SYS_open_tree, [-1, 0, 0, 0, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0, 0]),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, [-1, 0, 0, 0, 0, 0]),
        ("mknodat", libc::SYS_mknodat, [-1, 0, 0, 0, 0, 0]),
        ("fchmod", libc::SYS_fchmod, [-1, 0o777, 0, 0, 0, 0]),
        ("fchmodat", libc::SYS_fchmodat, [-1, 0, 0o777, 0, 0, 0]),
        ("fchownat", libc::SYS_fchownat, [-1, 0, 0, 0, 0, 0]),
        ("setxattr", libc::SYS_setxattr, [0; 6]),
        ("bpf", libc::SYS_bpf, [-1, 0, 0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 6]),
        ("userfaultfd", libc::SYS_userfaultfd, [-1, 0, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 6]),
        ("keyctl", libc::SYS_keyctl, [-1, 0, 0, 0, 0, 0]),
        ("add_key", libc::SYS_add_key, [0; 6]),
        ("seccomp", libc::SYS_seccomp, [-1, 0, 0, 0, 0, 0]),
        ("landlock", libc::SYS_landlock_create_ruleset, [0; 6]),
        ("prlimit64 of its parent", libc::SYS_prlimit64, [parent, 0, 0, 0, 0, 0]),
        ("prlimit64 that sets", libc::SYS_prlimit64, [0, 0, 8, 0, 0, 0]),
        ("setrlimit", libc::SYS_setrlimit, [0; 6]),
        ("prctl", libc::SYS_prctl, [number(libc::PR_GET_DUMPABLE), 0, 0, 0, 0, 0]),
        (
            "setuid",
            libc::SYS_setuid,
            [number(rustix::process::getuid().as_raw().cast_signed()), 0, 0, 0, 0, 0],
        ),
        ("setresuid", libc::SYS_setresuid, [-1, -1, -1, 0, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [0; 6]),
        ("sched_setaffinity", libc::SYS_sched_setaffinity, [0; 6]),
        ("reboot", libc::SYS_reboot, [0; 6]),
        ("listen", libc::SYS_listen, [open, 1, 0, 0, 0, 0]),
        ("bind", libc::SYS_bind, [open, 0, 0, 0, 0, 0]),
        ("ioctl of a terminal's input", libc::SYS_ioctl, [open, 0x5412, 0, 0, 0, 0]),
        ("fcntl of locks", libc::SYS_fcntl, [open, number(libc::F_GETLK), 0, 0, 0, 0]),
        (
            "a datagram to a process",
            libc::SYS_socket,
            [number(libc::AF_UNIX), number(libc::SOCK_DGRAM), 0, 0, 0, 0],
        ),
        ("packets", libc::SYS_socket, [number(libc::AF_PACKET), number(libc::SOCK_RAW), 0, 0, 0, 0]),
        ("a raw socket", libc::SYS_socket, [number(libc::AF_INET), number(libc::SOCK_RAW), 1, 0, 0, 0]),
        ("vsock", libc::SYS_socket, [number(libc::AF_VSOCK), number(libc::SOCK_STREAM), 0, 0, 0, 0]),
        ("memory to write and execute", libc::SYS_mmap, [0, 4096, write_and_execute, anonymous, -1, 0]),
        ("mprotect to both", libc::SYS_mprotect, [0, 0, write_and_execute, 0, 0, 0]),
        ("a call that is not yet invented", 4000, [0; 6]),
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        ("fork", libc::SYS_fork, [0; 6]),
        ("chmod", libc::SYS_chmod, [0; 6]),
        ("getpid of x32", 0x4000_0000 | libc::SYS_getpid, [0; 6]),
    ]);
    calls
}

/// The calls of a list that were not refused, with what they answered.
fn passed(calls: &[(&'static str, libc::c_long, [libc::c_long; 6])]) -> Vec<(&'static str, i32)> {
    calls
        .iter()
        .map(|(name, call, arguments)| (*name, errno(*call, *arguments)))
        .filter(|(_, errno)| *errno != libc::EPERM)
        .collect()
}

#[test]
fn nothing_harmful_is_asked_of_the_kernel() {
    let mut calls = harmful();
    let number = |number: libc::c_int| libc::c_long::from(number);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            calls.push(("a socket to hosts", libc::SYS_socket, [number(family), number(kind), 0, 0, 0, 0]));
        }
    }
    within(false, move |on| {
        if on("seccomp") {
            assert!(std::process::Command::new("/bin/true").status().is_err());
            let passed = passed(&calls);
            assert!(passed.is_empty(), "not refused: {passed:?}");
        }
    });
}

#[test]
fn who_reaches_out_has_sockets_for_that_and_nothing_more() {
    let calls: Vec<_> = harmful().into_iter().filter(|(name, ..)| *name != "bind").collect();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    within(true, move |on| {
        if !on("seccomp") {
            return;
        }
        let passed = passed(&calls);
        assert!(passed.is_empty(), "not refused: {passed:?}");
        assert!(std::net::TcpStream::connect(address).is_ok());
        assert!(("localhost", 80).to_socket_addrs().is_ok(), "names are looked up");
    });
}

#[test]
fn a_worker_has_what_it_needs() {
    within(false, |on| {
        if !on("seccomp") {
            return;
        }
        assert_eq!(errno(libc::SYS_clone3, [0; 6]), libc::ENOSYS, "the C library must fall back");
        let named = std::thread::Builder::new().name("named".into()).spawn(|| vec![1; 1 << 24].len());
        assert_eq!(named.unwrap().join().unwrap(), 1 << 24);
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        std::io::Write::write_all(&mut one, b"x").unwrap();
        std::io::Read::read_exact(&mut other, &mut [0]).unwrap();
        assert!(other.try_clone().unwrap().as_raw_fd() >= 0);
    });
}
