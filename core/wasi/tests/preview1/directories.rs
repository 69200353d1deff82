//! Listing directories.

use std::collections::BTreeMap;

use qyv_wasi::Error;

use crate::support::*;
use crate::{at, call};

/// The bytes that a listing with a buffer of this size gives.
pub(crate) fn list(guest: &mut Guest, fd: i32, size: i32, cookie: i64) -> Vec<u8> {
    guest.put(DATA, &vec![0xEE; 1024]);
    call!(guest, fd_readdir, fd, DATA, size, cookie, RESULT).unwrap();
    let used = guest.u32(RESULT) as usize;
    assert!(used <= size as usize);
    assert!(
        guest.bytes(DATA + used as i32, 16).iter().all(|&byte| byte == 0xEE),
        "wrote beyond what it used"
    );
    guest.bytes(DATA, used).to_vec()
}

/// The whole entries in such bytes: cookie, inode, type, name.
pub(crate) fn entries(mut bytes: &[u8]) -> Vec<(u64, u64, u8, String)> {
    let mut found = Vec::new();
    while bytes.len() >= 24 {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let len = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
        let Some(name) = bytes.get(24..24 + len) else { break };
        found.push((number(0), number(8), bytes[20], String::from_utf8(name.to_vec()).unwrap()));
        bytes = &bytes[24 + len..];
    }
    found
}

#[test]
fn every_entry_is_seen_once_with_any_buffer() {
    both(|guest| {
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        let mut expected = BTreeMap::from([(".".to_string(), 3), ("..".to_string(), 3)]);
        for number in 0..30 {
            let name = format!("dir/{}", "n".repeat(number + 1));
            guest.create(&name, b"");
            expected.insert(name[4..].to_string(), 4);
        }
        let fd = guest.open("dir", DIRECTORY, 0).unwrap();
        // The longest entry has 54 bytes; a smaller buffer would never show it whole.
        for size in [54, 55, 80, 256, 1000] {
            let (mut seen, mut cookie) = (BTreeMap::new(), 0);
            loop {
                let bytes = list(guest, fd, size, cookie);
                for (next, _, kind, name) in entries(&bytes) {
                    assert!(seen.insert(name, kind).is_none());
                    cookie = next as i64;
                }
                if bytes.len() < size as usize {
                    break;
                }
            }
            assert_eq!(seen, expected, "buffer of {size} bytes");
        }
    });
}

#[test]
fn the_last_entry_is_cut_where_the_buffer_ends() {
    both(|guest| {
        guest.create("file", b"");
        let whole = list(guest, ROOT, 1000, 0);
        for size in 0..whole.len() {
            assert_eq!(list(guest, ROOT, size as i32, 0), whole[..size]);
        }
    });
}

#[test]
fn numbers_agree_with_stat_and_cookies_resume() {
    both(|guest| {
        guest.create("file", b"");
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        let inode = guest.stat(ROOT).unwrap().1;
        let found = entries(&list(guest, ROOT, 1000, 0));
        assert_eq!((found[0].1, found[0].3.as_str(), found[1].3.as_str()), (inode, ".", ".."));
        for (index, entry) in found.iter().enumerate() {
            assert_eq!(entries(&list(guest, ROOT, 1000, entry.0 as i64)), found[index + 1..]);
            if entry.3 == "file" {
                let fd = guest.open("file", 0, 0).unwrap();
                assert_eq!(guest.stat(fd).unwrap().1, entry.1);
            }
        }
    });
}

#[test]
fn what_cannot_be_listed() {
    both(|guest| {
        guest.create("file", b"");
        let file = guest.open("file", 0, FD_READ).unwrap();
        assert_eq!(call!(guest, fd_readdir, file, DATA, 100, 0, RESULT), Err(Error::NOTDIR));
        assert_eq!(call!(guest, fd_readdir, 0, DATA, 100, 0, RESULT), Err(Error::BADF));
        assert_eq!(call!(guest, fd_readdir, ROOT, DATA, -1, 0, RESULT), Err(Error::FAULT));
        assert_eq!(call!(guest, fd_readdir, ROOT, DATA, 100, 0, -1), Err(Error::FAULT));
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        let dir = guest.open("dir", DIRECTORY, 0).unwrap();
        let end = call!(guest, fd_readdir, dir, DATA, 100, -1, RESULT);
        assert!(end == Err(Error::INVAL) || guest.u32(RESULT) == 0);
    });
}
