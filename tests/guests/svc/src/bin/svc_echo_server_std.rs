//! Sends all bytes back to one connection after the other, without the SDK: `svc_echo_server_std CONNECTIONS`, at the first
//! listening socket.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{FromRawFd, RawFd};

use guests_svc::{check, fail, number};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn sock_accept(fd: RawFd, flags: i32, into: *mut RawFd) -> i32;
}

fn main() {
    let fds = check("QYV_LISTEN_FDS", std::env::var("QYV_LISTEN_FDS"));
    let first = fds.split(',').next().unwrap_or_default();
    let listener: RawFd = check("the first descriptor", first.parse());
    println!("listening");
    for _ in 0..number(1) {
        let mut fd = -1;
        // SAFETY: the address is that of a number on the stack.
        let code = unsafe { sock_accept(listener, 0, &raw mut fd) };
        if code != 0 {
            fail("accept", &format!("error {code}"));
        }
        // SAFETY: the host has just given it to this call.
        echo(unsafe { File::from_raw_fd(fd) });
    }
    println!("done");
}

fn echo(mut client: File) {
    let mut buffer = vec![0; 10_000];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => check("write", client.write_all(&buffer[..count])),
            // A client that dies is no failure of the server.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => fail("read", &format!("{error}")),
        }
    }
}
