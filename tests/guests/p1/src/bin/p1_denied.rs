//! No files are granted: every path is refused, and nothing of the host shows.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(nothing_to_open, streams_work);

fn nothing_to_open() {
    for fd in 3..64 {
        let mut buffer = [0; 64];
        let results = [
            open(fd, "file", 0, rights::READ).map(|_| ()),
            open(fd, "etc/passwd", 0, rights::READ).map(|_| ()),
            open(fd, "new", oflags::CREAT, rights::BOTH).map(|_| ()),
            open(fd, "svc/logger", 0, rights::BOTH).map(|_| ()),
            path_filestat_get(fd, 0, "file").map(|_| ()),
            path_create_directory(fd, "dir"),
            path_readlink(fd, "file", &mut buffer).map(|_| ()),
            path_unlink_file(fd, "file"),
        ];
        for result in results {
            assert!(matches!(result, Err(BADF | ACCES)), "fd {fd}: {result:?}");
        }
    }
}

fn streams_work() {
    say!("denied, as it should be");
}
