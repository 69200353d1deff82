//! What was not granted: the closed root, services, read-only mounts. Each is refused and remembered.

use qyv_vfs::Vfs;
use qyv_wasi::{Error, Right};

use crate::support::*;
use crate::{at, call};

/// What was recorded: call, on what, which right, how often.
pub(crate) fn denials(guest: &Guest) -> Vec<(&'static str, &str, Right, u64)> {
    guest.process.denials().iter().map(|d| (d.call, d.what.as_str(), d.right.clone(), d.times)).collect()
}

#[test]
fn the_closed_root_refuses_every_path() {
    for lend in [true, false] {
        let mut guest =
            Guest::with(lend, 64, |_| qyv_wasi::ProcessBuilder::new().vfs(Vfs::new()).deny_root());
        let guest = &mut guest;
        call!(guest, fd_prestat_get, 3, RESULT).unwrap();
        call!(guest, fd_prestat_dir_name, 3, RESULT, 1).unwrap();
        assert_eq!(guest.bytes(RESULT, 1), b"/");
        assert_eq!(guest.fdstat(3).unwrap().0, 3);
        guest.stat(3).unwrap();
        assert!(guest.process.denials().is_empty());

        assert_eq!(guest.open("etc/passwd", 0, FD_READ), Err(Error::ACCES));
        assert_eq!(guest.open("etc/passwd", 0, FD_READ), Err(Error::ACCES));
        assert_eq!(at!(guest, path_create_directory, 3, "x"), Err(Error::ACCES));
        assert_eq!(call!(guest, path_filestat_get, 3, 0, TEXT, 1, RESULT), Err(Error::ACCES));
        assert_eq!(call!(guest, path_rename, 3, TEXT, 1, 3, TEXT, 1), Err(Error::ACCES));
        assert_eq!(call!(guest, fd_readdir, 3, DATA, 10, 0, RESULT), Err(Error::ACCES));
        assert_eq!(guest.open("svc/logger/80", 0, BOTH), Err(Error::ACCES));
        assert_eq!(
            denials(guest),
            [
                ("path_open", "/etc/passwd", Right::Files, 2),
                ("path_create_directory", "/x", Right::Files, 1),
                ("path_filestat_get", "/x", Right::Files, 1),
                ("path_rename", "/x", Right::Files, 1),
                ("fd_readdir", "/", Right::Files, 1),
                ("path_open", "/svc/logger", Right::Dial("logger".into()), 1),
            ]
        );
        guest.memory.assert_guards();
    }
}

#[test]
fn services_are_refused_before_it_is_known_whether_they_exist() {
    both(|guest| {
        at!(guest, path_create_directory, ROOT, "svc").unwrap();
        for path in ["svc/logger", "./svc//logger", "svc/./logger/.info"] {
            assert_eq!(guest.open(path, CREAT, BOTH), Err(Error::ACCES));
        }
        assert_eq!(at!(guest, path_unlink_file, ROOT, "svc/logger"), Err(Error::ACCES));
        let dial = Right::Dial("logger".into());
        assert_eq!(
            denials(guest),
            [("path_open", "/svc/logger", dial.clone(), 3), ("path_unlink_file", "/svc/logger", dial, 1)]
        );
        // Only there.
        guest.open("svc", DIRECTORY, 0).unwrap();
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        assert_eq!(guest.open("dir/svc/logger", 0, 0), Err(Error::NOENT));
        assert_eq!(guest.open("svcs/logger", 0, 0), Err(Error::NOENT));
    });
}

#[test]
fn a_folder_mounted_at_svc_is_a_folder() {
    let mut guest = Guest::with(true, 64, |builder| {
        let mut vfs = Vfs::new();
        vfs.mount("/svc", memory_files(&qyv_vfs::Budget::new(9)), qyv_vfs::Access::ReadWrite).unwrap();
        let node = vfs.open_root("/svc").unwrap();
        builder.vfs(vfs).preopen("/svc", node)
    });
    assert_eq!(guest.open_with(5, "logger", 0, FD_READ, 0), Err(Error::NOENT));
}

#[test]
fn changes_to_a_read_only_mount_name_it() {
    both(|guest| {
        assert_eq!(guest.open("ro/file", CREAT, FD_WRITE), Err(Error::ROFS));
        assert_eq!(guest.open_with(READ_ONLY, "file", CREAT, FD_WRITE, 0), Err(Error::ROFS));
        let dir = guest.open_with(READ_ONLY, ".", DIRECTORY, 0, 0).unwrap();
        assert_eq!(at!(guest, path_create_directory, dir, "new"), Err(Error::ROFS));
        assert_eq!(call!(guest, fd_filestat_set_times, dir, 1, 1, 5), Err(Error::ROFS));
        // Of two paths, the one that cannot be changed.
        guest.create("here", b"");
        guest.put(TEXT, b"here");
        guest.put(MORE_TEXT, b"./ro/there");
        assert_eq!(call!(guest, path_rename, ROOT, TEXT, 4, ROOT, MORE_TEXT, 10), Err(Error::ROFS));
        assert_eq!(call!(guest, path_rename, ROOT, MORE_TEXT, 10, ROOT, TEXT, 4), Err(Error::ROFS));
        let write = || Right::Write("/ro".into());
        assert_eq!(
            denials(guest),
            [
                ("path_open", "/ro/file", write(), 2),
                ("path_create_directory", "/ro/…/new", write(), 1),
                ("fd_filestat_set_times", "/ro/…/", write(), 1),
                ("path_rename", "/ro/there", write(), 2),
            ]
        );
    });
}

#[test]
fn a_server_without_a_socket_is_told_so() {
    both(|guest| {
        assert_eq!(call!(guest, sock_accept, 3, 0, RESULT), Err(Error::NOTSOCK));
        assert_eq!(denials(guest), [("sock_accept", "descriptor 3", Right::Listen, 1)]);
    });
}
