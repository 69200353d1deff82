//! Directories through the standard library: making, listing, removing while listing, renaming, deep trees.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The kind of this error is not told apart on every target, its number is.
const NOTEMPTY: i32 = 55;

fn names(path: &str) -> BTreeSet<String> {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn main() {
    listing();
    remove_while_listing();
    rename();
    deep();
    many();
    // What is left must be as the host expects it to be.
    fs::write("/result.txt", "done\n").unwrap();
}

fn listing() {
    fs::create_dir("/list").unwrap();
    assert_eq!(fs::create_dir("/list").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(names("/list"), BTreeSet::new());
    fs::write("/list/file", "12345").unwrap();
    fs::create_dir("/list/dir").unwrap();
    for entry in fs::read_dir("/list").unwrap() {
        let entry = entry.unwrap();
        let is_dir = entry.file_name() == "dir";
        assert_eq!(entry.file_type().unwrap().is_dir(), is_dir);
        assert_eq!(entry.metadata().unwrap().is_dir(), is_dir);
    }
    assert_eq!(fs::remove_dir("/list").unwrap_err().raw_os_error(), Some(NOTEMPTY));
    assert_eq!(fs::remove_dir("/list/file").unwrap_err().kind(), ErrorKind::NotADirectory);
    fs::remove_dir_all("/list").unwrap();
    assert!(!fs::exists("/list").unwrap());
}

fn remove_while_listing() {
    fs::create_dir("/sweep").unwrap();
    for n in 0..500 {
        fs::write(format!("/sweep/{n}"), "").unwrap();
    }
    let mut count = 0;
    for entry in fs::read_dir("/sweep").unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
        count += 1;
    }
    assert_eq!(count, 500);
    fs::remove_dir("/sweep").unwrap();
}

fn rename() {
    fs::create_dir_all("/from/a/b").unwrap();
    fs::write("/from/a/b/file", "moved").unwrap();
    fs::rename("/from", "/to").unwrap();
    assert_eq!(fs::read_to_string("/to/a/b/file").unwrap(), "moved");
    assert!(!fs::exists("/from").unwrap());
    fs::write("/one", "1").unwrap();
    fs::write("/two", "2").unwrap();
    fs::rename("/one", "/two").unwrap();
    assert_eq!(fs::read_to_string("/two").unwrap(), "1");
    assert!(fs::rename("/to", "/to/a/inside").is_err());
    fs::remove_dir_all("/to").unwrap();
    fs::remove_file("/two").unwrap();
}

fn deep() {
    let mut path = PathBuf::from("/deep");
    for n in 0..60 {
        path.push(format!("level-{n}"));
    }
    fs::create_dir_all(&path).unwrap();
    let file = path.join("bottom");
    fs::write(&file, "bottom").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "bottom");
    fs::remove_dir_all("/deep").unwrap();
}

fn many() {
    fs::create_dir("/many").unwrap();
    for dir in 0..10 {
        fs::create_dir(format!("/many/{dir}")).unwrap();
        for file in 0..200 {
            fs::write(format!("/many/{dir}/{file}"), format!("{dir} {file}")).unwrap();
        }
    }
    for dir in 0..10 {
        assert_eq!(names(&format!("/many/{dir}")).len(), 200);
        assert_eq!(fs::read_to_string(format!("/many/{dir}/199")).unwrap(), format!("{dir} 199"));
    }
    fs::remove_dir_all("/many").unwrap();
}
