//! Every way out of a preopen that a path can spell. The host has put `secret` beside the root; it must stay unread, unwritten and in place.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(dots, absolute, by_links, by_host_links, renames, descriptors);

/// Tries every call on a path that leads out. None may succeed, and all say why.
#[track_caller]
fn sealed(fd: Fd, path: &str) {
    let mut buffer = [0; 64];
    let results = [
        path_filestat_get(fd, FOLLOW, path).map(|_| ()),
        path_open(fd, FOLLOW, path.as_bytes(), 0, rights::READ, 0, 0).map(|_| ()),
        path_open(fd, FOLLOW, path.as_bytes(), oflags::CREAT, rights::BOTH, 0, 0).map(|_| ()),
        path_open(fd, FOLLOW, path.as_bytes(), oflags::TRUNC, rights::BOTH, 0, 0).map(|_| ()),
        path_open(fd, FOLLOW, path.as_bytes(), oflags::DIRECTORY, 0, 0, 0).map(|_| ()),
        path_filestat_set_times(fd, FOLLOW, path, 1, 1, fstflags::MTIM),
    ];
    for (at, result) in results.iter().enumerate() {
        // On Linux a file is never created at a path that ends with a slash, wherever it leads.
        let created_directory = at == 2 && path.ends_with('/') && *result == Err(ISDIR);
        assert!(*result == Err(NOTCAPABLE) || created_directory, "call {at} on `{path}`: {result:?}");
    }
    // These never follow a last link, so a link that leads out may itself be read or removed.
    let last_is_link = path_readlink(fd, path, &mut buffer).is_ok();
    if !last_is_link {
        for result in [
            path_create_directory(fd, path),
            path_remove_directory(fd, path),
            path_unlink_file(fd, path),
            path_symlink("x", fd, path),
            path_rename(fd, path, fd, "stolen"),
            path_link(fd, 0, path, fd, "stolen"),
            path_rename(fd, "bait", fd, path),
            path_link(fd, 0, "bait", fd, path),
        ] {
            assert!(result.is_err(), "`{path}`");
        }
    }
    assert_eq!(path_filestat_get(ROOT, 0, "stolen"), Err(NOENT));
}

fn dots() {
    put(ROOT, "bait", b"bait");
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    assert_eq!(path_create_directory(ROOT, "dir/sub"), Ok(()));
    for path in [
        "..",
        "../",
        "../.",
        "../secret",
        "./../secret",
        "dir/../../secret",
        "dir/sub/../../../secret",
        "..//secret",
    ] {
        sealed(ROOT, path);
    }
    // Never out of the directory that a descriptor names, even where the preopen would allow it.
    let dir = open_dir(ROOT, "dir").unwrap();
    put(dir, "bait", b"bait");
    for path in ["..", "../bait", "sub/../../bait", "../dir/bait"] {
        sealed(dir, path);
    }
    assert_eq!(fd_close(dir), Ok(()));
    // What is checked left to right: a step that fails before the way out decides.
    assert_eq!(path_filestat_get(ROOT, 0, "absent/../../secret"), Err(NOENT));
    assert_eq!(path_filestat_get(ROOT, 0, "bait/../../secret"), Err(NOTDIR));
}

fn absolute() {
    for path in ["/", "//", "/bait", "/secret", "/etc/passwd", "///etc/passwd", "/proc/self/root/etc/passwd"]
    {
        sealed(ROOT, path);
    }
}

fn by_links() {
    let targets = ["..", "../secret", "dir/../../secret", "/", "/etc/passwd", "/bait", "../root/bait"];
    for target in targets {
        match path_symlink(target, ROOT, "out") {
            Ok(()) => {}
            // A host may refuse to make such a link; then there is nothing to follow.
            Err(error) => {
                assert!(matches!(error, NOTCAPABLE | PERM), "{error:?}");
                continue;
            }
        }
        sealed(ROOT, "out");
        sealed(ROOT, "out/");
        sealed(ROOT, "out/secret");
        assert_eq!(path_symlink("out", ROOT, "dir/out"), Ok(()));
        assert_eq!(path_symlink("dir/../out", ROOT, "chain"), Ok(()));
        sealed(ROOT, "chain");
        for link in ["out", "dir/out", "chain"] {
            assert_eq!(path_unlink_file(ROOT, link), Ok(()));
        }
    }
}

fn by_host_links() {
    // The host has made these: `host-up` -> `..`, `host-absolute` -> `/`, `host-secret` -> `../secret`.
    for path in ["host-up", "host-up/secret", "host-absolute", "host-absolute/etc/passwd", "host-secret"] {
        sealed(ROOT, path);
    }
}

fn renames() {
    // A directory that is moved up must not take its descriptors out with it.
    let sub = open_dir(ROOT, "dir/sub").unwrap();
    assert_eq!(path_rename(ROOT, "dir/sub", ROOT, "moved"), Ok(()));
    sealed_dir(sub);
    assert_eq!(path_remove_directory(ROOT, "moved"), Ok(()));
    sealed_dir(sub);
    assert_eq!(fd_close(sub), Ok(()));
}

/// No way up from a descriptor, whatever became of its directory.
fn sealed_dir(dir: Fd) {
    for path in ["..", "../secret", "../../secret", "../moved"] {
        let result = path_filestat_get(dir, FOLLOW, path);
        assert!(matches!(result, Err(NOTCAPABLE | NOENT)), "`{path}`: {result:?}");
        let result = path_open(dir, FOLLOW, path.as_bytes(), 0, rights::READ, 0, 0);
        assert!(matches!(result, Err(NOTCAPABLE | NOENT)), "`{path}`: {result:?}");
    }
}

fn descriptors() {
    // Nothing but the streams and the preopen is open, whatever the host has open itself.
    for fd in (4..2_000).chain([u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) - 1]) {
        assert_eq!(fd_fdstat_get(fd), Err(BADF), "fd {fd}");
    }
}
