//! A preopen that is granted for reading: it holds `file` (6 bytes, `before`), `dir/inner` and `link` -> `file`. Every call that would change it is refused.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(reading_works, opening, changing, times, unchanged);

fn reading_works() {
    expect_contents(ROOT, "file", b"before");
    expect_contents(ROOT, "dir/inner", b"inner");
    let mut buffer = [0; 16];
    assert_eq!(path_readlink(ROOT, "link", &mut buffer), Ok(4));
    assert!(fd_readdir(ROOT, &mut [0; 256], 0).unwrap() > 0);
}

#[track_caller]
fn refused<T: core::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(ROFS | NOTCAPABLE | PERM)), "{result:?}");
}

fn opening() {
    for rights in [rights::FD_WRITE, rights::BOTH, rights::FD_ALLOCATE | rights::FD_READ] {
        match open(ROOT, "file", 0, rights) {
            // Rights are a wish: what was opened must still refuse.
            Ok(file) => {
                assert!(fd_write(file, b"x").is_err());
                assert!(fd_pwrite(file, b"x", 0).is_err());
                assert!(fd_filestat_set_size(file, 0).is_err());
                assert!(fd_allocate(file, 0, 100).is_err());
                assert_eq!(fd_close(file), Ok(()));
            }
            other => refused(other),
        }
    }
    for flags in [oflags::TRUNC, oflags::CREAT | oflags::TRUNC] {
        for rights in [rights::FD_READ, rights::BOTH] {
            refused(open(ROOT, "file", flags, rights));
        }
    }
    refused(open(ROOT, "new", oflags::CREAT, rights::FD_READ));
    refused(open(ROOT, "dir/new", oflags::CREAT | oflags::EXCL, rights::BOTH));
    let existing = open(ROOT, "file", oflags::CREAT, rights::FD_READ);
    assert!(matches!(existing, Ok(_) | Err(ROFS | NOTCAPABLE)), "{existing:?}");
}

fn changing() {
    refused(path_create_directory(ROOT, "new"));
    refused(path_remove_directory(ROOT, "dir/empty"));
    refused(path_unlink_file(ROOT, "file"));
    refused(path_rename(ROOT, "file", ROOT, "moved"));
    refused(path_link(ROOT, 0, "file", ROOT, "hard"));
    refused(path_symlink("file", ROOT, "soft"));
}

fn times() {
    refused(path_filestat_set_times(ROOT, 0, "file", 1, 1, fstflags::MTIM));
    refused(path_filestat_set_times(ROOT, FOLLOW, "link", 1, 1, fstflags::ATIM_NOW));
    refused(fd_filestat_set_times(ROOT, 1, 1, fstflags::MTIM));
    let file = open(ROOT, "file", 0, rights::FD_READ | rights::FD_FILESTAT_SET_TIMES);
    if let Ok(file) = file {
        refused(fd_filestat_set_times(file, 1, 1, fstflags::MTIM));
    }
}

fn unchanged() {
    reading_works();
    assert_eq!(path_filestat_get(ROOT, 0, "new"), Err(NOENT));
    assert_eq!(path_filestat_get(ROOT, 0, "soft"), Err(NOENT));
    assert_eq!(path_filestat_get(ROOT, 0, "file").unwrap().links, 1);
}
