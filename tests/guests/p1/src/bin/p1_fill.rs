//! Fills a small file system in every way, to be refused each time, and finds all room back after removing.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(with_bytes, with_sparse_bytes, with_inodes);

static PAGE: [u8; 65_536] = [7; 65_536];

/// Writes until nothing fits; returns the bytes stored.
fn fill(file: Fd) -> u64 {
    let mut total = 0;
    loop {
        match fd_write(file, &PAGE) {
            Ok(written) => total += written as u64,
            Err(error) => {
                assert!(matches!(error, NOSPC | FBIG), "{error:?}");
                return total;
            }
        }
        assert!(total < 1 << 32, "no limit on bytes");
    }
}

fn with_bytes() {
    let mut first = 0;
    for round in 0..3 {
        let file = create(ROOT, "full");
        let total = fill(file);
        assert_eq!(fd_filestat_get(file).unwrap().size, total);
        assert!(total >= 1 << 20, "{total} bytes are less than was granted");
        if round == 0 {
            first = total;
        }
        assert!(total.abs_diff(first) <= 1 << 16, "round {round}: {total} after {first}: room was lost");
        assert_eq!(fd_pread(file, &mut [0; 16], total - 8), Ok(8));
        assert_eq!(fd_close(file), Ok(()));
        assert_eq!(path_unlink_file(ROOT, "full"), Ok(()));
    }
}

fn with_sparse_bytes() {
    let file = create(ROOT, "sparse");
    for size in [1 << 40, 1 << 62, (1 << 63) - 1, u64::MAX] {
        let result = fd_filestat_set_size(file, size);
        if result.is_ok() {
            // A hole may be free, its contents are not.
            assert_eq!(fd_filestat_set_size(file, 0), Ok(()));
        }
        let written = fd_pwrite(file, &PAGE[..1], size - 1);
        assert!(matches!(written, Ok(1) | Err(NOSPC | FBIG | INVAL | OVERFLOW)), "{size}: {written:?}");
        assert_eq!(fd_filestat_set_size(file, 0), Ok(()));
        let stored = fd_allocate(file, 0, size);
        assert!(matches!(stored, Err(NOSPC | FBIG | INVAL | NOTSUP | OVERFLOW)), "{size}: {stored:?}");
    }
    assert_eq!(fd_close(file), Ok(()));
    assert_eq!(path_unlink_file(ROOT, "sparse"), Ok(()));
}

fn with_inodes() {
    let mut name = *b"d00000";
    let mut count = 0_u32;
    let digits = |name: &mut [u8; 6], mut n: u32| {
        for at in (1..6).rev() {
            name[at] = b'0' + (n % 10) as u8;
            n /= 10;
        }
    };
    let refusal = loop {
        digits(&mut name, count);
        match path_create_directory(ROOT, core::str::from_utf8(&name).unwrap()) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
        assert!(count < 99_999, "no limit on inodes");
    };
    assert_eq!(refusal, NOSPC);
    assert!(count >= 100, "{count} inodes are less than was granted");
    for n in 0..count {
        digits(&mut name, n);
        assert_eq!(path_remove_directory(ROOT, core::str::from_utf8(&name).unwrap()), Ok(()));
    }
    assert_eq!(path_create_directory(ROOT, "again"), Ok(()));
}
