//! Listing: whole, in small pieces, while entries come and go.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(whole, pieces, removed_meanwhile, wrong);

const FILES: usize = 200;

/// The name of the n-th file.
fn name(n: usize) -> [u8; 7] {
    let mut name = *b"file000";
    name[4] += (n / 100) as u8;
    name[5] += (n / 10 % 10) as u8;
    name[6] += (n % 10) as u8;
    name
}

/// Calls `each` with the entries of one answer; returns the last cookie, or `None` when no whole entry was in it.
fn entries(answer: &[u8], mut each: impl FnMut(Dirent, &[u8])) -> Option<u64> {
    let mut rest = answer;
    let mut last = None;
    while rest.len() >= 24 {
        let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let entry = Dirent {
            next: number(0),
            inode: number(8),
            name_length: u32::from_le_bytes(rest[16..20].try_into().unwrap()),
            filetype: rest[20],
        };
        let end = 24 + entry.name_length as usize;
        if rest.len() < end {
            break;
        }
        each(entry, &rest[24..end]);
        last = Some(entry.next);
        rest = &rest[end..];
    }
    last
}

/// Lists `dir` with a buffer of `size` bytes; `each` gets every entry but `.` and `..`.
fn list(dir: Fd, size: usize, mut each: impl FnMut(Dirent, &[u8])) {
    let mut buffer = [0; 8192];
    let mut cookie = 0;
    loop {
        let used = fd_readdir(dir, &mut buffer[..size], cookie).unwrap();
        let last = entries(&buffer[..used], |entry, name| {
            if name != b"." && name != b".." {
                each(entry, name);
            }
        });
        if used < size {
            return;
        }
        cookie = last.expect("the buffer holds the longest entry");
    }
}

fn index(name: &[u8]) -> usize {
    assert!(name.len() == 7 && name.starts_with(b"file"));
    name[4..].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

fn whole() {
    assert_eq!(path_create_directory(ROOT, "dir"), Ok(()));
    let dir = open_dir(ROOT, "dir").unwrap();
    list(dir, 8192, |_, name| panic!("{name:?} in an empty directory"));
    put(dir, "file", b"");
    assert_eq!(path_create_directory(dir, "sub"), Ok(()));
    assert_eq!(path_symlink("file", dir, "link"), Ok(()));
    let mut seen = 0;
    list(dir, 8192, |entry, name| {
        let name = core::str::from_utf8(name).unwrap();
        let stat = path_filestat_get(dir, 0, name).unwrap();
        assert_eq!((entry.filetype, entry.inode), (stat.filetype, stat.inode), "{name}");
        assert_ne!(entry.next, 0);
        seen += 1;
    });
    assert_eq!(seen, 3);
    assert_eq!(fd_close(dir), Ok(()));
}

fn pieces() {
    assert_eq!(path_create_directory(ROOT, "many"), Ok(()));
    let dir = open_dir(ROOT, "many").unwrap();
    for n in 0..FILES {
        put(dir, core::str::from_utf8(&name(n)).unwrap(), b"");
    }
    for size in [31, 32, 48, 100, 1_000, 8192] {
        let mut seen = [false; FILES];
        list(dir, size, |_, name| {
            let n = index(name);
            assert!(!seen[n], "{n} twice with {size} bytes");
            seen[n] = true;
        });
        assert!(seen.iter().all(|&seen| seen), "one is missing with {size} bytes");
    }
    // Less than an entry is filled to its end, so that the guest can see that there is more.
    let mut buffer = [0; 10];
    assert_eq!(fd_readdir(dir, &mut buffer, 0), Ok(10));
    assert_eq!(fd_readdir(dir, &mut [], 0), Ok(0));
    assert_eq!(fd_close(dir), Ok(()));
}

fn removed_meanwhile() {
    // What `rm -r` does: list a little, remove it, go on from where it was.
    let dir = open_dir(ROOT, "many").unwrap();
    let mut seen = [false; FILES];
    list(dir, 100, |_, name| {
        let n = index(name);
        assert!(!seen[n], "{n} twice");
        seen[n] = true;
        assert_eq!(path_unlink_file(dir, core::str::from_utf8(name).unwrap()), Ok(()));
    });
    assert!(seen.iter().all(|&seen| seen), "one was passed over");
    assert_eq!(fd_close(dir), Ok(()));
    assert_eq!(path_remove_directory(ROOT, "many"), Ok(()));
}

fn wrong() {
    let mut buffer = [0; 64];
    assert_eq!(fd_readdir(NO_FD, &mut buffer, 0), Err(BADF));
    put(ROOT, "plain", b"");
    let file = open(ROOT, "plain", 0, rights::READ).unwrap();
    let result = fd_readdir(file, &mut buffer, 0);
    assert!(matches!(result, Err(NOTDIR | BADF | NOTCAPABLE)), "{result:?}");
    let cookie = fd_readdir(ROOT, &mut buffer, u64::MAX);
    assert!(matches!(cookie, Err(INVAL) | Ok(_)), "{cookie:?}");
    let mut used = 0_u32;
    let (room, used) = (buffer.as_mut_ptr() as u32, &raw mut used as u32);
    // SAFETY: the good addresses are those of the values above; the host must not write to the bad ones.
    unsafe {
        assert_eq!(done(raw::fd_readdir(ROOT, BAD_POINTER, 100, 0, used)), Err(FAULT));
        assert_eq!(done(raw::fd_readdir(ROOT, room, u32::MAX, 0, used)), Err(FAULT));
        assert_eq!(done(raw::fd_readdir(ROOT, room, 64, 0, BAD_POINTER)), Err(FAULT));
    }
}
