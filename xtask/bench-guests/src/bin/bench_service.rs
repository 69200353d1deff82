//! A service that rests: it says hello, and waits for connections that never come. Preview 1.

#[path = "../wasi.rs"]
mod wasi;

fn main() {
    println!("hello");
    while let Some(connection) = wasi::accept() {
        drop(connection);
    }
}
