//! Reading, writing and what belongs to open files.

use qyv_wasi::{Error, Outcome};

use crate::support::*;
use crate::{at, call};

#[test]
fn vectors_are_gathered_and_scattered() {
    both(|guest| {
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        assert_eq!(guest.write(fd, &[b"ab", b"", b"cde", b"f"]), Ok(6));
        assert_eq!(guest.seek(fd, 0, 1), Ok(6));
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.read(fd, &[1, 0, 2, 10]).unwrap(), b"abcdef");
        assert_eq!(guest.read(fd, &[4]).unwrap(), b"");
        // More buffers than go to the file system at once.
        let pieces: Vec<&[u8]> = (0..50).map(|_| &b"xyz"[..]).collect();
        assert_eq!(guest.write(fd, &pieces), Ok(150));
        guest.seek(fd, 6, 0).unwrap();
        assert_eq!(guest.read(fd, &[3; 50]).unwrap(), b"xyz".repeat(50));
        assert_eq!(guest.write(fd, &[]), Ok(0));
        assert_eq!(guest.read(fd, &[]).unwrap(), b"");
    });
}

#[test]
fn buffers_may_overlap_and_come_in_any_order() {
    both(|guest| {
        guest.create("file", b"abcdef");
        let fd = guest.open("file", 0, FD_READ).unwrap();
        for (entry, at) in [DATA + 10, DATA, DATA + 1].into_iter().enumerate() {
            guest.put(RESULT + 64 + 8 * entry as i32, &at.to_le_bytes());
            guest.put(RESULT + 68 + 8 * entry as i32, &2u32.to_le_bytes());
        }
        call!(guest, fd_read, fd, RESULT + 64, 3, RESULT).unwrap();
        assert_eq!(guest.u32(RESULT), 6);
        assert_eq!((guest.bytes(DATA, 3), guest.bytes(DATA + 10, 2)), (&b"cef"[..], &b"ab"[..]));
    });
}

#[test]
fn a_vector_that_is_overwritten_by_its_own_read_harms_nobody() {
    both(|guest| {
        // The file holds a vector entry that points out of memory.
        guest.create("file", &[0xFF; 64]);
        let fd = guest.open("file", 0, FD_READ).unwrap();
        let vector = RESULT + 64;
        for entry in 0..40 {
            guest.put(vector + 8 * entry, &(vector + 8 * (39 - entry)).to_le_bytes());
            guest.put(vector + 8 * entry + 4, &8u32.to_le_bytes());
        }
        call!(guest, fd_read, fd, vector, 40, RESULT).unwrap();
        assert!(guest.u32(RESULT) <= 64);
    });
}

#[test]
fn bad_vectors_have_no_effect() {
    both(|guest| {
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        guest.create("other", b"abc");
        let read = guest.open("other", 0, FD_READ).unwrap();
        let size = SIZE as u32;
        // The second buffer is bad; the first must not be touched.
        for (at, len) in [(size, 1), (size - 1, 2), (u32::MAX, u32::MAX), (0, u32::MAX), (u32::MAX, 1)] {
            guest.vector(&[2, 2]);
            guest.put(RESULT + 72, &at.to_le_bytes());
            guest.put(RESULT + 76, &len.to_le_bytes());
            assert_eq!(call!(guest, fd_write, fd, RESULT + 64, 2, RESULT), Err(Error::FAULT));
            assert_eq!(call!(guest, fd_read, read, RESULT + 64, 2, RESULT), Err(Error::FAULT));
        }
        assert_eq!((guest.stat(fd).unwrap().2, guest.seek(read, 0, 1)), (0, Ok(0)));
        for (vector, count, result, error) in [
            (RESULT + 64, 1025, RESULT, Error::INVAL),
            (RESULT + 64, -1, RESULT, Error::INVAL),
            (SIZE as i32 - 7, 1, RESULT, Error::FAULT),
            (-8, 1, RESULT, Error::FAULT),
            (RESULT + 64, 1, SIZE as i32 - 3, Error::FAULT),
        ] {
            guest.vector(&[2]);
            assert_eq!(call!(guest, fd_write, fd, vector, count, result), Err(error));
            assert_eq!(call!(guest, fd_pwrite, fd, vector, count, 0, result), Err(error));
            assert_eq!(call!(guest, fd_read, read, vector, count, result), Err(error));
            assert_eq!(call!(guest, fd_pread, read, vector, count, 0, result), Err(error));
        }
        assert_eq!((guest.stat(fd).unwrap().2, guest.seek(read, 0, 1)), (0, Ok(0)));
        // 1024 whole-memory buffers: more in sum than can be counted is refused, fewer are read.
        for entry in 0..1024 {
            guest.put(DATA + 8 * entry, &[0, 0, 0, 0]);
            guest.put(DATA + 8 * entry + 4, &size.to_le_bytes());
        }
        assert_eq!(call!(guest, fd_read, read, DATA, 1024, RESULT), Ok(()));
        assert_eq!(guest.u32(RESULT), 3);
    });
}

#[test]
fn copying_is_charged_to_the_memory_budget() {
    let mut guest = Guest::new(false);
    let fd = guest.open("file", CREAT, BOTH).unwrap();
    let rest = guest.budget.charge(guest.budget.available()).unwrap();
    assert_eq!(guest.write(fd, &[b"x"]), Err(Error::NOMEM));
    drop(rest);
    let before = guest.budget.used();
    assert_eq!(guest.write(fd, &[b"x"]), Ok(1));
    assert_eq!(guest.budget.used(), before);
}

#[test]
fn positions() {
    both(|guest| {
        guest.create("file", b"0123456789");
        let fd = guest.open("file", 0, BOTH).unwrap();
        assert_eq!(guest.seek(fd, -3, 2), Ok(7));
        assert_eq!(guest.seek(fd, 2, 1), Ok(9));
        assert_eq!(guest.seek(fd, -10, 1), Err(Error::INVAL));
        assert_eq!(guest.seek(fd, -1, 0), Err(Error::INVAL));
        assert_eq!(guest.seek(fd, 0, 3), Err(Error::INVAL));
        assert_eq!(guest.seek(fd, i64::MAX, 1), Err(Error::INVAL));
        assert_eq!(guest.seek(fd, i64::MIN, 2), Err(Error::INVAL));
        assert_eq!(call!(guest, fd_seek, fd, 0, 0, SIZE as i32 - 7), Err(Error::FAULT));
        assert_eq!(guest.seek(fd, 0, 1), Ok(9), "a call that failed moved it");
        call!(guest, fd_tell, fd, RESULT).unwrap();
        assert_eq!(guest.u64(RESULT), 9);
        assert_eq!(guest.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
        assert!(matches!(guest.write(fd, &[b"x"]), Err(Error::FBIG | Error::INVAL)));
        guest.seek(fd, 1 << 50, 0).unwrap();
        assert_eq!(guest.read(fd, &[1]).unwrap(), b"");
        // Descriptors of the same file have an offset each.
        let other = guest.open("file", 0, FD_READ).unwrap();
        assert_eq!(guest.read(other, &[2]).unwrap(), b"01");
        for not_a_file in [0, 1, 2] {
            assert_eq!(guest.seek(not_a_file, 0, 0), Err(Error::SPIPE));
            assert_eq!(call!(guest, fd_tell, not_a_file, RESULT), Err(Error::SPIPE));
        }
        assert_eq!((guest.seek(ROOT, 0, 0), guest.seek(ROOT, 0, 1)), (Err(Error::BADF), Err(Error::BADF)));
    });
}

#[test]
fn access_at_an_offset_leaves_the_position() {
    both(|guest| {
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        guest.write(fd, &[b"abc"]).unwrap();
        guest.put(DATA, b"XY");
        guest.vector(&[1, 1]);
        guest.put(DATA + 4, b"Y");
        call!(guest, fd_pwrite, fd, RESULT + 64, 2, 1, RESULT).unwrap();
        call!(guest, fd_pread, fd, RESULT + 64, 2, 0, RESULT).unwrap();
        assert_eq!((guest.bytes(DATA, 1), guest.bytes(DATA + 4, 1)), (&b"a"[..], &b"X"[..]));
        assert_eq!(guest.seek(fd, 0, 1), Ok(3));
        assert_eq!(call!(guest, fd_pread, fd, RESULT + 64, 1, -1, RESULT), Err(Error::INVAL));
        assert_eq!(call!(guest, fd_pread, 0, RESULT + 64, 1, 0, RESULT), Err(Error::SPIPE));
        assert_eq!(call!(guest, fd_pwrite, 1, RESULT + 64, 1, 0, RESULT), Err(Error::SPIPE));
        assert_eq!(call!(guest, fd_pread, ROOT, RESULT + 64, 1, 0, RESULT), Err(Error::BADF));
    });
}

#[test]
fn appending_goes_to_the_end_and_moves_the_position_there() {
    both(|guest| {
        guest.create("file", b"12");
        let fd = guest.open_with(ROOT, "file", 0, BOTH, APPEND).unwrap();
        assert_eq!(guest.write(fd, &[b"34", b"5"]), Ok(3));
        assert_eq!(guest.seek(fd, 0, 1), Ok(5));
        guest.seek(fd, 0, 0).unwrap();
        guest.write(fd, &[b"6"]).unwrap();
        call!(guest, fd_fdstat_set_flags, fd, 0).unwrap();
        guest.seek(fd, 0, 0).unwrap();
        guest.write(fd, &[b"X"]).unwrap();
        guest.seek(fd, 0, 0).unwrap();
        assert_eq!(guest.read(fd, &[20]).unwrap(), b"X23456");
    });
}

#[test]
fn sizes_allocation_hints_and_sync() {
    both(|guest| {
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        call!(guest, fd_filestat_set_size, fd, 100).unwrap();
        call!(guest, fd_allocate, fd, 90, 20).unwrap();
        assert_eq!(guest.stat(fd).unwrap().2, 110);
        assert_eq!(call!(guest, fd_allocate, fd, 0, 0), Err(Error::INVAL));
        assert_eq!(call!(guest, fd_allocate, fd, i64::MAX, i64::MAX), Err(Error::FBIG));
        assert_eq!(call!(guest, fd_allocate, fd, 0, 1 << 30), Err(Error::NOSPC));
        assert_eq!(call!(guest, fd_filestat_set_size, fd, -1), Err(Error::INVAL));
        assert_eq!(call!(guest, fd_filestat_set_size, fd, i64::MAX), Err(Error::FBIG));
        for advice in 0..6 {
            call!(guest, fd_advise, fd, 0, 0, advice).unwrap();
        }
        assert_eq!(call!(guest, fd_advise, fd, 0, 0, 6), Err(Error::INVAL));
        for fd in [fd, ROOT] {
            call!(guest, fd_sync, fd).unwrap();
            call!(guest, fd_datasync, fd).unwrap();
        }
        let read = guest.open("file", 0, FD_READ).unwrap();
        for other in [read, ROOT, 1] {
            assert_eq!(call!(guest, fd_filestat_set_size, other, 0), Err(Error::BADF));
            assert_eq!(call!(guest, fd_allocate, other, 0, 1), Err(Error::BADF));
        }
        assert_eq!(guest.stat(fd).unwrap().2, 110);
    });
}

#[test]
fn times_are_set_or_refused_as_a_whole() {
    both(|guest| {
        let fd = guest.open("file", CREAT, 0).unwrap();
        call!(guest, fd_filestat_set_times, fd, 11, 22, 1 | 4).unwrap();
        guest.stat(fd).unwrap();
        assert_eq!((guest.u64(RESULT + 40), guest.u64(RESULT + 48)), (11, 22));
        for flags in [3, 12, 15, 16, -1] {
            assert_eq!(call!(guest, fd_filestat_set_times, fd, 1, 1, flags), Err(Error::INVAL));
        }
        call!(guest, fd_filestat_set_times, fd, 5, 5, 0).unwrap();
        guest.stat(fd).unwrap();
        assert_eq!((guest.u64(RESULT + 40), guest.u64(RESULT + 48)), (11, 22));
        call!(guest, fd_filestat_set_times, fd, 5, 5, 2 | 8).unwrap();
        guest.stat(fd).unwrap();
        assert!(guest.u64(RESULT + 40) >= 1000 && guest.u64(RESULT + 48) >= 1000);
        let len = guest.path("file");
        call!(guest, path_filestat_set_times, ROOT, 1, TEXT, len, 7, 8, 1 | 4).unwrap();
        guest.stat(fd).unwrap();
        assert_eq!((guest.u64(RESULT + 40), guest.u64(RESULT + 48)), (7, 8));
    });
}

#[test]
fn a_full_file_system_is_a_short_write() {
    both(|guest| {
        let fd = guest.open("file", CREAT, FD_WRITE).unwrap();
        let block = vec![1; 40_000];
        let mut sum = 0;
        let refused = loop {
            match guest.write(fd, &[&block]) {
                Ok(count) => sum += count,
                Err(error) => break error,
            }
        };
        assert_eq!((refused, sum), (Error::NOSPC, 1 << 20));
        assert_eq!(guest.seek(fd, 0, 1), Ok(1 << 20));
    });
}

#[test]
fn sockets_are_nowhere() {
    both(|guest| {
        guest.create("file", b"");
        let file = guest.open("file", 0, 0).unwrap();
        for (fd, error) in
            [(0, Error::NOTSOCK), (ROOT, Error::NOTSOCK), (file, Error::NOTSOCK), (40, Error::BADF)]
        {
            assert_eq!(call!(guest, sock_shutdown, fd, 3), Err(error));
            assert_eq!(call!(guest, sock_recv, fd, 0, 0, 0, 0, 0), Err(error));
            assert_eq!(call!(guest, sock_send, fd, 0, 0, 0, 0), Err(error));
            assert_eq!(call!(guest, sock_accept, fd, 0, 0), Err(error));
        }
    });
}

#[test]
fn files_never_wait() {
    both(|guest| {
        at!(guest, path_create_directory, ROOT, "dir").unwrap();
        let fd = guest.open("file", CREAT, BOTH).unwrap();
        assert!(matches!(guest.try_read(fd, &[10]), Outcome::Done(_)));
        assert!(matches!(guest.try_write(fd, &[b"x"]), Outcome::Done(_)));
    });
}
