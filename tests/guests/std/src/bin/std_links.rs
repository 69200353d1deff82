//! Links through the standard library, where the target allows them on stable Rust: hard links, and following links
//! that the host has made (`soft` -> `file`, `up` -> `..`, `dangling` -> `absent`).

use std::fs;

fn main() {
    assert_eq!(fs::read_to_string("/soft").unwrap(), "linked\n");
    assert!(fs::symlink_metadata("/soft").unwrap().is_symlink());
    assert!(fs::metadata("/soft").unwrap().is_file());
    assert_eq!(fs::read_link("/soft").unwrap().to_str(), Some("file"));
    assert!(fs::read_link("/file").is_err());
    assert!(fs::metadata("/dangling").is_err());
    assert!(fs::metadata("/up").is_err());
    assert!(fs::read_dir("/up").is_err());
    assert!(fs::read("/up/secret").is_err());

    fs::hard_link("/file", "/hard").unwrap();
    fs::write("/hard", "changed").unwrap();
    assert_eq!(fs::read_to_string("/file").unwrap(), "changed");
    fs::remove_file("/file").unwrap();
    assert_eq!(fs::read_to_string("/hard").unwrap(), "changed");
    assert!(fs::read("/soft").is_err());
    fs::remove_file("/soft").unwrap();
    assert!(fs::hard_link("/absent", "/hard2").is_err());
}
