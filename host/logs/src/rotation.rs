//! A log file and the older ones beside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How many older files are kept beside the one that is written: `x.log.1` is the newest of them.
pub const KEPT: usize = 2;

/// The files of a log, oldest first, whether they exist or not.
#[must_use]
pub fn files(path: &Path) -> Vec<PathBuf> {
    (1..=KEPT).rev().map(|number| older(path, number)).chain([path.to_owned()]).collect()
}

fn older(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The file that is written.
#[derive(Debug)]
pub(crate) struct Rotating {
    path: PathBuf,
    /// The most bytes of one file.
    most: u64,
    open: Option<(File, u64)>,
}

impl Rotating {
    /// A log of at most `bytes`, all its files together.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        Self { path, most: (bytes / (KEPT as u64 + 1)).max(1), open: None }
    }

    /// Adds whole records. They go to a new file when they would make this one too large.
    pub(crate) fn write(&mut self, records: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open()?);
        }
        let mut rest = records;
        while let Some((file, size)) = self.open.as_mut().filter(|_| !rest.is_empty()) {
            let room = usize::try_from(self.most.saturating_sub(*size)).unwrap_or(usize::MAX);
            let fits = if rest.len() <= room {
                rest.len()
            } else {
                rest[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
            };
            if fits == 0 && *size == 0 {
                // One record alone is larger than a file may be: it is cut to nothing.
                rest = rest.iter().position(|byte| *byte == b'\n').map_or(&[], |at| &rest[at + 1..]);
                continue;
            }
            if fits == 0 {
                self.rotate()?;
                self.open = Some(self.open()?);
                continue;
            }
            file.write_all(&rest[..fits])?;
            *size += fits as u64;
            rest = &rest[fits..];
        }
        Ok(())
    }

    /// Gives the file descriptor back until the next write.
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for number in (1..=KEPT).rev() {
            let from = if number == 1 { self.path.clone() } else { older(&self.path, number - 1) };
            match std::fs::rename(from, older(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_together_never_pass_the_limit_and_hold_the_newest_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut log = Rotating::new(path.clone(), 300);
        for number in 0..100 {
            log.write(format!("record {number:03}\nand {number:03}\n").as_bytes()).unwrap();
            log.close();
            let sizes: u64 = files(&path).iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
            assert!(sizes <= 300, "{sizes}");
        }
        log.write(&[b'x'; 400]).unwrap();
        log.write(b"last\n").unwrap();
        let text: String =
            files(&path).iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
        assert!(text.ends_with("record 099\nand 099\nlast\n"), "{text}");
        assert!(text.lines().all(|line| line.len() >= 4 && !line.contains('x')));
        assert!(text.len() > 150);
    }
}
