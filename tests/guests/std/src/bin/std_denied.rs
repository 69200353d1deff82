//! Wants files where none are granted: an error each time, and the program goes on.

fn main() {
    for path in ["/data/file", "/", "/etc/passwd", "relative", "../up"] {
        assert!(std::fs::read(path).is_err(), "{path}");
        assert!(std::fs::write(path, "x").is_err(), "{path}");
        assert!(std::fs::read_dir(path).is_err(), "{path}");
    }
    println!("nothing to read");
}
