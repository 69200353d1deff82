//! Calls on paths: what this layer adds to the file system's own rules.

use qyv_wasi::Error;

use crate::support::*;
use crate::{at, call};

#[test]
fn opening_combines_flags_as_linux_does() {
    both(|guest| {
        assert_eq!(guest.open("new", 0, FD_READ), Err(Error::NOENT));
        let fd = guest.open("new", CREAT | EXCL, FD_WRITE).unwrap();
        guest.write(fd, &[b"abc"]).unwrap();
        assert_eq!(guest.open("new", CREAT | EXCL, FD_WRITE), Err(Error::EXIST));
        assert_eq!(guest.open("new", DIRECTORY, FD_READ), Err(Error::NOTDIR));
        assert_eq!(guest.open("new", DIRECTORY | CREAT, FD_READ), Err(Error::INVAL));
        assert_eq!(guest.open("new", 16, FD_READ), Err(Error::INVAL));
        // Emptying needs no `FD_WRITE`.
        let fd = guest.open("new", TRUNC, 0).unwrap();
        assert_eq!(guest.stat(fd).unwrap().2, 0);
        assert_eq!(guest.open(".", TRUNC, 0), Err(Error::ISDIR));
        assert_eq!(guest.open(".", 0, FD_WRITE), Err(Error::ISDIR));
        // A file is no place to start from; neither is a stream or nothing.
        assert_eq!(guest.open_with(fd, "x", CREAT, 0, 0), Err(Error::NOTDIR));
        assert_eq!(guest.open_with(0, "x", CREAT, 0, 0), Err(Error::NOTDIR));
        assert_eq!(guest.open_with(50, "x", CREAT, 0, 0), Err(Error::BADF));
    });
}

#[test]
fn nothing_is_created_when_the_result_cannot_be_given() {
    both(|guest| {
        let len = guest.path("file");
        for at in [SIZE as i32 - 3, -1] {
            assert_eq!(call!(guest, path_open, ROOT, 0, TEXT, len, CREAT, BOTH, 0, 0, at), Err(Error::FAULT));
        }
        while guest.open(".", 0, 0).is_ok() {}
        assert_eq!(guest.open("file", CREAT, BOTH), Err(Error::MFILE));
        assert_eq!(guest.inodes.used(), 0);
    });
}

#[test]
fn paths_are_checked_as_strings_first() {
    both(|guest| {
        guest.put(TEXT, b"a\xFFb");
        assert_eq!(call!(guest, path_create_directory, ROOT, TEXT, 3), Err(Error::ILSEQ));
        guest.put(TEXT, &[b'a'; 5000]);
        assert_eq!(call!(guest, path_create_directory, ROOT, TEXT, 4097), Err(Error::NAMETOOLONG));
        assert_eq!(call!(guest, path_create_directory, ROOT, TEXT, 256), Err(Error::NAMETOOLONG));
        call!(guest, path_create_directory, ROOT, TEXT, 255).unwrap();
        for (path, len) in [(SIZE as i32 - 1, 2), (-1, 1), (0, -1), (-1, -1)] {
            assert_eq!(call!(guest, path_create_directory, ROOT, path, len), Err(Error::FAULT));
            assert_eq!(call!(guest, path_rename, ROOT, TEXT, 1, ROOT, path, len), Err(Error::FAULT));
            assert_eq!(call!(guest, path_symlink, path, len, ROOT, TEXT, 1), Err(Error::FAULT));
        }
        assert_eq!(at!(guest, path_create_directory, ROOT, ""), Err(Error::NOENT));
        assert_eq!(at!(guest, path_create_directory, ROOT, "/abs"), Err(Error::NOTCAPABLE));
        assert_eq!(at!(guest, path_create_directory, ROOT, "../x"), Err(Error::NOTCAPABLE));
        assert_eq!(at!(guest, path_create_directory, ROOT, "nul\0"), Err(Error::INVAL));
    });
}

#[test]
fn links() {
    both(|guest| {
        guest.create("file", b"abc");
        let put = |guest: &mut Guest, from: &str, to: &str| {
            guest.put(TEXT, from.as_bytes());
            guest.put(MORE_TEXT, to.as_bytes());
            (from.len() as i32, to.len() as i32)
        };
        let (target, path) = put(guest, "file", "link");
        call!(guest, path_symlink, TEXT, target, ROOT, MORE_TEXT, path).unwrap();
        let len = guest.path("link");
        for (room, expected) in [(10, &b"file...."[..]), (4, b"file...."), (2, b"fi......"), (0, b"........")]
        {
            guest.put(DATA, b"........");
            call!(guest, path_readlink, ROOT, TEXT, len, DATA, room, RESULT).unwrap();
            assert_eq!((guest.u32(RESULT), guest.bytes(DATA, 8)), (room.min(4) as u32, expected));
        }
        assert_eq!(
            call!(guest, path_readlink, ROOT, TEXT, len, SIZE as i32 - 3, 10, RESULT),
            Err(Error::FAULT)
        );
        // Following is the caller's choice.
        for (flags, kind) in [(0, 7), (1, 4)] {
            call!(guest, path_filestat_get, ROOT, flags, TEXT, len, RESULT).unwrap();
            assert_eq!(guest.bytes(RESULT + 16, 1), [kind]);
        }
        for flags in [2, -1] {
            assert_eq!(call!(guest, path_filestat_get, ROOT, flags, TEXT, len, RESULT), Err(Error::INVAL));
        }
        let (from, to) = put(guest, "file", "second");
        call!(guest, path_link, ROOT, 0, TEXT, from, ROOT, MORE_TEXT, to).unwrap();
        assert_eq!(call!(guest, path_link, ROOT, 0, TEXT, from, ROOT, MORE_TEXT, to), Err(Error::EXIST));
        assert_eq!(call!(guest, path_link, ROOT, 0, TEXT, from, READ_ONLY, MORE_TEXT, to), Err(Error::ROFS));
        let (target, path) = put(guest, "/etc", "absolute");
        assert_eq!(call!(guest, path_symlink, TEXT, target, ROOT, MORE_TEXT, path), Err(Error::NOTCAPABLE));
    });
}

#[test]
fn creating_renaming_and_removing() {
    both(|guest| {
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        guest.create("dir/file", b"x");
        assert_eq!(at!(guest, path_remove_directory, ROOT, "dir"), Err(Error::NOTEMPTY));
        assert_eq!(at!(guest, path_unlink_file, ROOT, "dir"), Err(Error::ISDIR));
        guest.put(TEXT, b"dir/file");
        guest.put(MORE_TEXT, b"moved");
        call!(guest, path_rename, ROOT, TEXT, 8, ROOT, MORE_TEXT, 5).unwrap();
        assert_eq!(call!(guest, path_rename, ROOT, TEXT, 8, ROOT, MORE_TEXT, 5), Err(Error::NOENT));
        at!(guest, path_remove_directory, ROOT, "dir").unwrap();
        at!(guest, path_unlink_file, ROOT, "moved").unwrap();
        assert_eq!(guest.inodes.used(), 0);
    });
}
