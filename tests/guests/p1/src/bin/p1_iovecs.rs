//! Vectors that ask for more than there is: many entries, long entries, entries that lie over each other.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(many, long, overlapping, wrapping);

static mut IOVECS: [Iovec; 5_000] = [Iovec { buffer: 0, length: 0 }; 5_000];

fn many() {
    let file = create(ROOT, "many");
    let bytes = *b"0123456789abcdef";
    // SAFETY: the only use of the array at this time, and there is one thread.
    let iovecs = unsafe { (&raw mut IOVECS).as_mut().unwrap() };
    for (at, iovec) in iovecs.iter_mut().enumerate() {
        *iovec = Iovec::of(&bytes[at % 16..at % 16 + 1]);
    }
    // As many as Linux takes go in one call, in order.
    assert_eq!(fd_write_vectored(file, &iovecs[..1_024]), Ok(1_024));
    let mut back = [0; 1_025];
    assert_eq!(fd_pread(file, &mut back, 0), Ok(1_024));
    assert!(back[..1_024].chunks(16).all(|chunk| chunk == bytes));
    let result = fd_write_vectored(file, &iovecs[..1_025]);
    assert!(matches!(result, Err(INVAL) | Ok(1..=1_025)), "{result:?}");
    let result = fd_write_vectored(file, iovecs);
    assert!(matches!(result, Err(INVAL) | Ok(1..=5_000)), "{result:?}");
    assert_eq!(fd_close(file), Ok(()));
}

/// The errors of `fd_write` and `fd_read` on the same vectors.
fn both(file: Fd, iovecs: u32, count: u32) -> [Result<()>; 4] {
    let mut done_bytes = 0_u32;
    let out = &raw mut done_bytes as u32;
    // SAFETY: only `out` is an address to write to, unless the host believes the vectors.
    unsafe {
        [
            done(raw::fd_write(file, iovecs, count, out)),
            done(raw::fd_read(file, iovecs, count, out)),
            done(raw::fd_pwrite(file, iovecs, count, 0, out)),
            done(raw::fd_pread(file, iovecs, count, 0, out)),
        ]
    }
}

fn long() {
    let file = create(ROOT, "long");
    for iovec in [
        Iovec { buffer: 0, length: u32::MAX },
        Iovec { buffer: u32::MAX, length: 1 },
        Iovec { buffer: u32::MAX, length: u32::MAX },
        Iovec { buffer: 1 << 31, length: 1 << 31 },
    ] {
        assert_eq!(both(file, &raw const iovec as u32, 1), [Err(FAULT); 4], "{iovec:?}");
    }
    // The product of count and size does not fit 32 bits, or the list leaves memory.
    for count in [u32::MAX, 1 << 29, 1 << 28, 1 << 20] {
        for result in both(file, 1_024, count) {
            assert!(matches!(result, Err(FAULT | INVAL)), "{count}: {result:?}");
        }
    }
    assert_eq!(fd_filestat_get(file).unwrap().size, 0);
    assert_eq!(fd_close(file), Ok(()));
}

fn overlapping() {
    // The same megabyte a thousand times is a gigabyte: asked for with 8 KiB of vectors. It must be cut short or
    // refused by the quota, not be copied aside first.
    static mut MEGABYTE: [u8; 1 << 20] = [0; 1 << 20];
    let file = create(ROOT, "overlapping");
    // SAFETY: the only uses of the arrays at this time, and there is one thread.
    let (iovecs, megabyte) =
        unsafe { ((&raw mut IOVECS).as_mut().unwrap(), (&raw mut MEGABYTE).as_mut().unwrap()) };
    iovecs[..1_000].fill(Iovec::of_mut(megabyte));
    // Reading an empty file ends at once, however much is asked for.
    assert_eq!(fd_read_vectored(file, &iovecs[..1_000]), Ok(0));
    assert_eq!(fd_pwrite(file, b"abc", 0), Ok(3));
    assert_eq!(fd_read_vectored(file, &iovecs[..1_000]), Ok(3));
    assert_eq!(&megabyte[..4], b"abc\0");
    // Buffers that lie over each other get their bytes in order: the last one wins.
    let mut room = [0_u8; 2];
    let twice = [Iovec::of_mut(&mut room[..1]), Iovec::of_mut(&mut room[..1]), Iovec::of_mut(&mut room[1..])];
    assert_eq!(fd_seek(file, 0, whence::SET), Ok(0));
    assert_eq!(fd_read_vectored(file, &twice), Ok(3));
    assert_eq!(&room, b"bc");
    assert_eq!(fd_close(file), Ok(()));
}

fn wrapping() {
    // Lengths that are each inside memory and whose sum does not fit 32 bits.
    let file = create(ROOT, "wrapping");
    // SAFETY: the only use of the array at this time, and there is one thread.
    let iovecs = unsafe { (&raw mut IOVECS).as_mut().unwrap() };
    let memory = (core::arch::wasm32::memory_size(0) * 65_536) as u32;
    let enough = (u32::MAX / memory + 2) as usize;
    iovecs[..enough.min(5_000)].fill(Iovec { buffer: 0, length: memory });
    let result = fd_read_vectored(file, &iovecs[..enough.min(1_024)]);
    assert!(matches!(result, Ok(0) | Err(INVAL | OVERFLOW)), "{result:?}");
    assert_eq!(fd_close(file), Ok(()));
}
