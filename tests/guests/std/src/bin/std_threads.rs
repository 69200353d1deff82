//! There are no threads: starting one is an error, not a crash.

fn main() {
    let result = std::thread::Builder::new().spawn(|| ());
    assert!(result.is_err());
    println!("no threads");
}
