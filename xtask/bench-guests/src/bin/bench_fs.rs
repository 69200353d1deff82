//! Nanoseconds per call of a file system at `/`, measured from inside: one line `name nanoseconds` each.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Instant;

const SMALL: usize = 64;
const LARGE: usize = 64 << 10;
const FILE_BYTES: usize = 4 << 20;

fn main() -> io::Result<()> {
    fs::create_dir_all("/a/b/c/d")?;
    fs::write("/file", vec![7; FILE_BYTES])?;
    fs::write("/a/b/c/d/file", "x")?;
    if fs::symlink_metadata("/link").is_err() {
        #[expect(deprecated, reason = "the only way to make a link without nightly features")]
        fs::soft_link("file", "/link")?;
    }
    let paths = [("1", "/file"), ("5", "/a/b/c/d/file"), ("link", "/link")];
    for (name, path) in paths {
        measure(&format!("stat-{name}"), 2_000, || fs::metadata(path).map(drop))?;
    }
    for (name, path) in paths {
        measure(&format!("open-close-{name}"), 2_000, || File::open(path).map(drop))?;
    }
    let mut file = File::options().read(true).write(true).open("/file")?;
    measure("seek", 5_000, || file.seek(SeekFrom::Start(64)).map(drop))?;
    let mut buffer = vec![0; LARGE];
    file.rewind()?;
    measure("read-64", 10_000, || {
        file.read_exact(&mut buffer[..SMALL])?;
        black_box(&buffer);
        Ok(())
    })?;
    let chunks = FILE_BYTES / LARGE;
    file.rewind()?;
    measure("read-64k", chunks, || {
        file.read_exact(&mut buffer)?;
        black_box(&buffer);
        Ok(())
    })?;
    file.rewind()?;
    measure("write-64k", chunks, || file.write_all(&buffer))?;
    fs::create_dir_all("/new")?;
    let mut number = 0;
    measure("create-write", 200, || {
        number += 1;
        fs::write(format!("/new/{number}"), "hello")
    })?;
    fs::remove_dir_all("/new")
}

fn measure(name: &str, times: usize, mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let begin = Instant::now();
    for _ in 0..times {
        call()?;
    }
    println!("{name} {:.1}", begin.elapsed().as_nanos() as f64 / times as f64);
    Ok(())
}
