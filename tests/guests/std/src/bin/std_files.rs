//! Files through the standard library: reading, writing, appending, seeking, cutting, times, big ones.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};

fn main() {
    contents();
    append();
    seek_and_cut();
    errors();
    unlinked();
    big();
    times();
}

fn contents() {
    fs::write("/file", "contents").unwrap();
    assert_eq!(fs::read_to_string("/file").unwrap(), "contents");
    assert_eq!(fs::metadata("/file").unwrap().len(), 8);
    assert!(fs::metadata("/file").unwrap().is_file());
    fs::write("/file", "less").unwrap();
    assert_eq!(fs::read("/file").unwrap(), b"less");
    assert_eq!(fs::copy("/file", "/copy").unwrap(), 4);
    assert_eq!(fs::read("/copy").unwrap(), b"less");
    // Relative paths start at the root.
    assert_eq!(fs::read("copy").unwrap(), b"less");
    assert_eq!(fs::read("./copy").unwrap(), b"less");
}

fn append() {
    for part in ["one\n", "two\n", "three\n"] {
        let mut file = OpenOptions::new().append(true).create(true).open("/log").unwrap();
        file.write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string("/log").unwrap(), "one\ntwo\nthree\n");
    // Two who append do not write over each other.
    let mut one = OpenOptions::new().append(true).open("/log").unwrap();
    let mut two = OpenOptions::new().append(true).open("/log").unwrap();
    one.write_all(b"a").unwrap();
    two.write_all(b"b").unwrap();
    one.write_all(b"c").unwrap();
    assert!(fs::read_to_string("/log").unwrap().ends_with("abc"));
}

fn seek_and_cut() {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open("/seek").unwrap();
    file.write_all(b"0123456789").unwrap();
    assert_eq!(file.seek(SeekFrom::Start(2)).unwrap(), 2);
    let mut two = [0; 2];
    file.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"23");
    assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 9);
    assert_eq!(file.seek(SeekFrom::Current(-4)).unwrap(), 5);
    file.write_all(b"X").unwrap();
    file.set_len(6).unwrap();
    file.set_len(8).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    assert_eq!(fs::read("/seek").unwrap(), b"01234X\0\0");
}

fn errors() {
    let kind = |result: std::io::Result<File>| result.unwrap_err().kind();
    assert_eq!(kind(File::open("/absent")), ErrorKind::NotFound);
    assert_eq!(kind(File::open("/file/below")), ErrorKind::NotADirectory);
    assert_eq!(kind(OpenOptions::new().write(true).create_new(true).open("/file")), ErrorKind::AlreadyExists);
    assert!(File::open("/../secret").is_err());
    assert!(File::open("../secret").is_err());
    assert!(fs::write("/", "x").is_err());
    assert!(File::open("/file").unwrap().write(b"x").is_err());
}

fn unlinked() {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open("/temporary").unwrap();
    file.write_all(b"still here").unwrap();
    fs::remove_file("/temporary").unwrap();
    assert!(!fs::exists("/temporary").unwrap());
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still here");
}

fn big() {
    const CHUNK: usize = 100_003;
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open("/big").unwrap();
    let chunk = |n: usize| (0..CHUNK).map(|i| (i * 7 + n) as u8).collect::<Vec<_>>();
    for n in 0..80 {
        file.write_all(&chunk(n)).unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), 80 * CHUNK as u64);
    file.rewind().unwrap();
    let mut back = vec![0; CHUNK];
    for n in 0..80 {
        file.read_exact(&mut back).unwrap();
        assert!(back == chunk(n), "chunk {n}");
    }
    assert_eq!(file.read(&mut back).unwrap(), 0);
    fs::remove_file("/big").unwrap();
}

fn times() {
    use std::time::{Duration, SystemTime};
    let file = File::create("/times").unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_times(fs::FileTimes::new().set_modified(then).set_accessed(then)).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), then);
    file.set_modified(then + Duration::from_secs(5)).unwrap();
    assert_eq!(fs::metadata("/times").unwrap().modified().unwrap(), then + Duration::from_secs(5));
    assert_eq!(fs::metadata("/times").unwrap().accessed().unwrap(), then);
    fs::write("/times", "now").unwrap();
    let age = SystemTime::now().duration_since(fs::metadata("/times").unwrap().modified().unwrap());
    assert!(age.unwrap_or_else(|error| error.duration()) < Duration::from_secs(60));
}
