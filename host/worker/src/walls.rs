//! What a worker's process gives up before its first guest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qyvol_fs::Folder;
use qyvol_fs::landlock::{Reach, restrict};
use qyvol_protocol::worker::Wall;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Calls that no worker makes after its start, and that whoever takes one over would want: other programs, other
/// processes, other namespaces, the kernel itself.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
];

/// Builds the walls around this process, which has one thread. Each says whether it stands.
pub(crate) fn build(read: &[PathBuf], write: &[PathBuf]) -> Result<Vec<Wall>, String> {
    let mut folders = Vec::new();
    for (paths, reach) in [(read, Reach::ReadOnly), (write, Reach::ReadWrite)] {
        for path in paths {
            let folder = Folder::open(path)
                .map_err(|error| format!("cannot open the folder `{}`: {error}", path.display()))?;
            folders.push((folder, reach));
        }
    }
    let keep: Vec<_> = folders.iter().map(|(folder, reach)| (folder, *reach)).collect();
    let files = restrict(&keep).map_err(|error| format!("cannot wall off files: {error}"))?;
    let stands = matches!(files, qyvol_fs::landlock::Wall::Landlock { .. });
    let landlock = Wall { name: "landlock".into(), on: stands, detail: files.to_string() };
    let privileges = match rustix::thread::set_no_new_privs(true) {
        Ok(()) => wall("no-new-privileges", true, "set-user-ID programs give nothing"),
        Err(error) => wall("no-new-privileges", false, &error.to_string()),
    };
    Ok(vec![landlock, privileges, seccomp(), core_files()])
}

fn wall(name: &str, on: bool, detail: &str) -> Wall {
    Wall { name: name.into(), on, detail: detail.into() }
}

fn seccomp() -> Wall {
    let rules: BTreeMap<i64, Vec<_>> = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    let filter = std::env::consts::ARCH.try_into().and_then(|arch| {
        let forbidden = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, forbidden, arch)
    });
    let program: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
    match program.map_err(seccompiler::Error::from).and_then(|program| seccompiler::apply_filter(&program)) {
        Ok(()) => wall("seccomp", true, &format!("{} system calls are refused", FORBIDDEN.len())),
        Err(error) => wall("seccomp", false, &error.to_string()),
    }
}

/// A crash leaves no image of the guests' memory on the disk, and descriptors suffice for thousands of guests.
fn core_files() -> Wall {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    match setrlimit(Resource::Core, none).and(raised) {
        Ok(()) => wall("rlimits", true, "no core files"),
        Err(error) => wall("rlimits", false, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn behind_the_walls_only_what_was_left_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let (read, write, other) =
            (folder.path().join("read"), folder.path().join("write"), folder.path().join("other"));
        for path in [&read, &write, &other] {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("file"), "text").unwrap();
        }
        // The walls hold for the thread that builds them, and end with it.
        let inside = std::thread::spawn(move || {
            let walls = build(std::slice::from_ref(&read), std::slice::from_ref(&write)).unwrap();
            let on = |name: &str| walls.iter().any(|wall| wall.name == name && wall.on);
            if on("landlock") {
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
                denied(std::fs::rename(write.join("new"), other.join("new")));
            }
            if on("seccomp") {
                let refused = |name: &str, result: libc::c_long| {
                    let error = std::io::Error::last_os_error();
                    assert_eq!((result, error.raw_os_error()), (-1, Some(libc::EPERM)), "{name}");
                };
                for call in FORBIDDEN.iter().filter(|call| **call != libc::SYS_execve) {
                    // SAFETY: the filter refuses the call before it looks at its arguments, which are all null; and
                    // with these arguments none of them would do anything but fail.
                    let result = unsafe { libc::syscall(*call, 0, 0, 0, 0, 0, 0) };
                    refused(&call.to_string(), result);
                }
                let started = std::process::Command::new("/bin/true").status();
                assert!(started.is_err(), "{started:?}");
            }
            assert!(on("no-new-privileges"));
            (on("landlock"), on("seccomp"))
        });
        let stand = inside.join().unwrap();
        println!("landlock and seccomp stand: {stand:?}");
    }
}
