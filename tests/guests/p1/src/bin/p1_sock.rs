//! The socket calls where nothing is granted: files are no sockets, closed descriptors are closed.
#![no_std]
#![no_main]

use guests_p1::*;

guests_p1::main!(closed, no_sockets, bad_pointers);

/// The four calls on `fd`.
fn all(fd: Fd) -> [Result<()>; 4] {
    let mut room = [0_u8; 8];
    let iovec = Iovec::of_mut(&mut room);
    let (mut size, mut flags) = (0_u32, 0_u32);
    let iovec = &raw const iovec as u32;
    let (size, flags) = (&raw mut size as u32, &raw mut flags as u32);
    // SAFETY: the addresses are those of the values above.
    unsafe {
        [
            done(raw::sock_accept(fd, 0, size)),
            done(raw::sock_recv(fd, iovec, 1, 0, size, flags)),
            done(raw::sock_send(fd, iovec, 1, 0, size)),
            done(raw::sock_shutdown(fd, 1)),
        ]
    }
}

fn closed() {
    assert_eq!(all(NO_FD), [Err(BADF); 4]);
    assert_eq!(all(u32::MAX), [Err(BADF); 4]);
}

fn no_sockets() {
    put(ROOT, "file", b"x");
    let file = open(ROOT, "file", 0, rights::BOTH).unwrap();
    for fd in [0, 1, 2, ROOT, file] {
        assert_eq!(all(fd), [Err(NOTSOCK); 4], "fd {fd}");
    }
}

fn bad_pointers() {
    // SAFETY: the host must not write anywhere.
    unsafe {
        let result = done(raw::sock_accept(ROOT, 0, BAD_POINTER));
        assert!(matches!(result, Err(FAULT | NOTSOCK)), "{result:?}");
        let result = done(raw::sock_recv(ROOT, BAD_POINTER, 1, 0, BAD_POINTER, BAD_POINTER));
        assert!(matches!(result, Err(FAULT | NOTSOCK)), "{result:?}");
        let result = done(raw::sock_send(ROOT, BAD_POINTER, 1, 0, BAD_POINTER));
        assert!(matches!(result, Err(FAULT | NOTSOCK)), "{result:?}");
    }
}
