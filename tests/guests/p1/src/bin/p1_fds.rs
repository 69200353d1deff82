//! Opens descriptors until the host refuses, and can go on after that. Argument: none.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(exhaust);

static mut OPEN: [Fd; 70_000] = [0; 70_000];

fn exhaust() {
    // SAFETY: the only use of the array, and there is one thread.
    let open_fds = unsafe { (&raw mut OPEN).as_mut().unwrap() };
    put(ROOT, "file", b"x");
    for _ in 0..3 {
        let mut count = 0;
        let refusal = loop {
            match open(ROOT, "file", 0, rights::READ) {
                Ok(fd) => {
                    open_fds[count] = fd;
                    count += 1;
                }
                Err(error) => break error,
            }
            assert!(count < open_fds.len(), "no limit on descriptors");
        };
        assert_eq!(refusal, MFILE);
        assert!(count >= 16, "{count} descriptors are too few for any program");
        // What is open still works, and what is refused has no effect.
        assert_eq!(fd_read(open_fds[count - 1], &mut [0; 4]), Ok(1));
        assert_eq!(open(ROOT, "made", oflags::CREAT, rights::BOTH), Err(MFILE));
        assert_eq!(path_filestat_get(ROOT, 0, "made"), Err(NOENT));
        for fd in &open_fds[..count] {
            assert_eq!(fd_close(*fd), Ok(()));
        }
    }
}
