//! Messages to and fro: `bench_echo server ADDRESS` sends everything back, `bench_echo client ADDRESS COUNT BYTES` measures
//! by its own clock what a message takes to the other side and back, and prints `NAME NANOSECONDS` lines.
//!
//! As a component it speaks TCP, whatever the host makes of it; as a module of preview 1 it opens services as files, and its
//! addresses are names.

#[cfg(target_env = "p1")]
#[path = "../wasi.rs"]
mod wasi;

use std::io::{Read, Write};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", address] => serve(address),
        ["client", address, count, bytes] => {
            let (count, bytes) = (count.parse().expect("a count"), bytes.parse().expect("a number of bytes"));
            measure(&mut dial(address), count, bytes);
        }
        _ => panic!("`server ADDRESS`, or `client ADDRESS COUNT BYTES`"),
    }
}

fn measure(connection: &mut (impl Read + Write), count: usize, bytes: usize) {
    let (sent, mut came) = (vec![b'x'; bytes], vec![0; bytes]);
    let mut round = || {
        let start = Instant::now();
        connection.write_all(&sent).expect("send");
        connection.read_exact(&mut came).expect("receive");
        start.elapsed().as_nanos()
    };
    for _ in 0..count / 10 {
        round();
    }
    let mut times: Vec<u128> = (0..count).map(|_| round()).collect();
    times.sort_unstable();
    println!("p50 {}\np99 {}", times[count / 2], times[count * 99 / 100]);
}

fn echo(mut connection: impl Read + Write) {
    let mut buffer = vec![0; 64 << 10];
    // Whoever dies or goes is no failure of the server.
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        if connection.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

#[cfg(target_env = "p1")]
fn dial(name: &str) -> std::fs::File {
    let path = format!("/svc/{name}");
    std::fs::File::options().read(true).write(true).open(path).expect("dial")
}

#[cfg(target_env = "p1")]
fn serve(_: &str) {
    while let Some(connection) = wasi::accept() {
        echo(connection);
    }
}

#[cfg(not(target_env = "p1"))]
fn dial(address: &str) -> std::net::TcpStream {
    std::net::TcpStream::connect(address).expect("dial")
}

#[cfg(not(target_env = "p1"))]
fn serve(address: &str) {
    let listener = std::net::TcpListener::bind(address).expect("listen");
    for connection in listener.incoming() {
        echo(connection.expect("accept"));
    }
}
