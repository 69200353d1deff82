//! Checks 6 to 9: files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};

use crate::Given;
use crate::bytes::{FNV_START, SplitMix64, fnv1a, fnv1a_more};

/// What `big` writes.
const BIG_BYTES: usize = 10 << 20;
/// How much of it at a time.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) fn files(given: &Given) {
    if let Err(error) = try_files(&given.nonce) {
        println!("files failed {error}");
    }
}

fn try_files(nonce: &str) -> io::Result<()> {
    let folder = format!("/data/{nonce}");
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("{folder}/{name}"));
    fs::create_dir(&folder)?;
    fs::write(&a, "one\n")?;
    println!("files created");
    OpenOptions::new().append(true).open(&a)?.write_all(b"two\n")?;
    println!("files appended {}", fs::metadata(&a)?.len());
    fs::rename(&a, &b)?;
    println!("files renamed");
    File::create(&c)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    println!("files listed {}", names.join(" "));
    println!("files read {:016x}", fnv1a(&fs::read(&b)?));
    fs::remove_file(&b)?;
    fs::remove_file(&c)?;
    fs::remove_dir(&folder)?;
    println!("files removed");
    println!("files {}", if fs::exists(&folder)? { "there" } else { "gone" });
    Ok(())
}

pub(crate) fn missing(given: &Given) {
    let what = match File::open(format!("/data/missing-{}", given.nonce)) {
        Err(error) if error.kind() == ErrorKind::NotFound => "not-found",
        Ok(_) | Err(_) => "other",
    };
    println!("missing {what} {}", given.nonce);
}

pub(crate) fn readonly(given: &Given) {
    const FIXED: &str = "/texts/fixed.txt";
    let word = |allowed: bool| if allowed { "allowed" } else { "refused" };
    let opened = word(OpenOptions::new().write(true).open(FIXED).is_ok());
    let created = word(File::create(format!("/texts/new-{}", given.nonce)).is_ok());
    let removed = word(fs::remove_file(FIXED).is_ok());
    println!("readonly {opened} {created} {removed}");
    match fs::read(FIXED) {
        Ok(content) => println!("readonly read {:016x}", fnv1a(&content)),
        Err(error) => println!("readonly failed {error}"),
    }
}

pub(crate) fn big(given: &Given) {
    match try_big(given) {
        Ok((length, hash)) => println!("big {length} {hash:016x}"),
        Err(error) => println!("big failed {error}"),
    }
    println!("big {}", given.nonce);
}

fn try_big(given: &Given) -> io::Result<(usize, u64)> {
    let path = format!("/data/big-{}", given.nonce);
    let mut generator = SplitMix64(given.seed);
    let mut file = File::create(&path)?;
    for _ in 0..BIG_BYTES / PIECE_BYTES {
        file.write_all(&generator.bytes(PIECE_BYTES))?;
    }
    drop(file);
    let (mut length, mut hash) = (0, FNV_START);
    let mut file = File::open(&path)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        length += read;
        hash = fnv1a_more(hash, &piece[..read]);
    }
    drop(file);
    fs::remove_file(&path)?;
    Ok((length, hash))
}
