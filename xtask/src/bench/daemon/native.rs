//! A server of threads without any runtime: what the kernel alone makes of the same requests.

use std::hint::spin_loop;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;

/// What it answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers each connection with these bytes for each request, until this process ends.
pub(super) fn server(answer: &'static [u8]) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                // Who goes or is cut off gets no further answer.
                while stream.read_line(&mut line).is_ok_and(|count| count > 0) {
                    if line == "\r\n" && stream.get_mut().write_all(answer).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    Ok(address)
}

/// Does `work` with the address of such a server, beside so many threads that never wait.
pub(super) fn beside<R>(loops: usize, work: impl FnOnce(SocketAddr) -> Result<R>) -> Result<R> {
    let address = server(ANSWER)?;
    let over = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = (0..loops)
        .map(|_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    spin_loop();
                }
            })
        })
        .collect();
    let result = work(address);
    over.store(true, Ordering::Relaxed);
    for thread in running {
        // It does nothing that could fail.
        let _ = thread.join();
    }
    result
}
