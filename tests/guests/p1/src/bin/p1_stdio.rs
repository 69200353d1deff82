//! The standard streams: kinds, no seeking, closing and writing in pieces.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(kinds, no_files, vectors, end_of_input, closed);

fn kinds() {
    for fd in 0..3 {
        let stat = fd_fdstat_get(fd).unwrap();
        assert_ne!(stat.filetype, filetype::DIRECTORY, "fd {fd}");
        let file = fd_filestat_get(fd).unwrap();
        assert_eq!(file.filetype, stat.filetype, "fd {fd}");
    }
    let rights = fd_fdstat_get(0).unwrap().rights;
    assert_ne!(rights & rights::FD_READ, 0);
    let rights = fd_fdstat_get(1).unwrap().rights;
    assert_ne!(rights & rights::FD_WRITE, 0);
}

fn no_files() {
    let seek = fd_seek(1, 0, whence::CUR);
    assert!(matches!(seek, Err(SPIPE | NOTCAPABLE)), "{seek:?}");
    let tell = fd_tell(1);
    assert!(matches!(tell, Err(SPIPE | NOTCAPABLE)), "{tell:?}");
    let mut byte = [0];
    assert!(fd_pread(0, &mut byte, 0).is_err());
    assert!(fd_pwrite(1, b"x", 0).is_err());
    assert!(fd_readdir(1, &mut byte, 0).is_err());
    assert!(fd_filestat_set_size(1, 0).is_err());
    let opened = open(1, "file", 0, rights::READ);
    assert!(matches!(opened, Err(NOTDIR | NOTCAPABLE)), "{opened:?}");
    for fd in 0..3 {
        let name = fd_prestat_get(fd);
        assert!(matches!(name, Err(BADF | NOTSUP)), "{name:?}");
    }
}

fn vectors() {
    let parts = [Iovec::of(b"one "), Iovec::of(b""), Iovec::of(b"two "), Iovec::of(b"three\n")];
    assert_eq!(fd_write_vectored(1, &parts), Ok(14));
    assert_eq!(fd_write_vectored(1, &[]), Ok(0));
    assert_eq!(fd_write(2, b"to stderr\n"), Ok(10));
}

fn end_of_input() {
    let mut buffer = [0; 16];
    assert_eq!(fd_read(0, &mut buffer), Ok(5));
    assert_eq!(&buffer[..5], b"input");
    assert_eq!(fd_read(0, &mut buffer), Ok(0));
    assert_eq!(fd_read(0, &mut buffer), Ok(0));
}

fn closed() {
    assert_eq!(fd_close(0), Ok(()));
    assert_eq!(fd_read(0, &mut [0; 4]), Err(BADF));
    assert_eq!(fd_close(0), Err(BADF));
    // The lowest number, or any other: but one that is free, and no stream.
    let file = create(ROOT, "after-close");
    assert!(file == 0 || file > 3, "{file}");
    assert_eq!(fd_fdstat_get(file).unwrap().filetype, filetype::REGULAR_FILE);
}
