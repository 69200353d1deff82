//! Reading logs and following them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::record::{LINE_BYTES_MAX, Record};
use crate::rotation::files;

/// The most bytes of a record with what stands before its text: two numbers, a letter, the spaces between, the line feed.
const RECORD_BYTES_MAX: usize = LINE_BYTES_MAX + 48;

/// A log as it is now: its files stay readable although they are rotated meanwhile.
pub struct LogReader {
    /// Each with how far it is read.
    files: Vec<(File, u64)>,
}

/// What is added to a log from now on.
pub struct Follower {
    path: PathBuf,
    /// The file that is read, what number it has, and how far it was read.
    current: Option<(File, u64, u64)>,
    part: Vec<u8>,
}

impl LogReader {
    /// Opens every file that the log has; a log that was never written has none.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut list = Vec::new();
        for path in files(path) {
            match File::open(path) {
                Ok(file) => list.push((file, u64::MAX)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { files: list })
    }

    /// Opens what a log holds now, and follows what is added after that: together they have each record once.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened.
    pub fn open_followed(path: &Path) -> io::Result<(Self, Follower)> {
        let mut follower = Follower::from_end(path);
        let Some((file, inode, end)) = &mut follower.current else {
            // What there is once it is there will be followed from its beginning.
            return Ok((Self { files: Vec::new() }, follower));
        };
        *end = end_of_records(file, *end)?;
        let mut list = Vec::new();
        for path in files(path) {
            match File::open(path) {
                // Rotated meanwhile or not: what came after it is the follower's.
                Ok(file) if file.metadata()?.ino() == *inode => {
                    list.push((file, *end));
                    break;
                }
                Ok(file) => list.push((file, u64::MAX)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((Self { files: list }, follower))
    }

    /// Hands out every record, oldest first, until `sink` returns `false`. What is no record is skipped.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn each(self, mut sink: impl FnMut(&Record<'_>) -> bool) -> io::Result<()> {
        for (file, end) in self.files {
            let mut reader = BufReader::new(file.take(end));
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = reader.by_ref().take(RECORD_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
                if read == 0 {
                    break;
                }
                // A record without its end is still being written, or was cut by a crash.
                let Some(record) = line.strip_suffix(b"\n").and_then(Record::parse) else { continue };
                if !sink(&record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Where the last whole record before `end` ends.
fn end_of_records(file: &File, end: u64) -> io::Result<u64> {
    let begin = end.saturating_sub(RECORD_BYTES_MAX as u64);
    let mut file = file;
    file.seek(SeekFrom::Start(begin))?;
    let mut last = Vec::new();
    file.take(end - begin).read_to_end(&mut last)?;
    let whole = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(begin + whole as u64)
}

impl Follower {
    /// Follows a log from its end.
    #[must_use]
    pub fn from_end(path: &Path) -> Self {
        let mut follower = Self { path: path.to_owned(), current: None, part: Vec::new() };
        if let Ok(file) = File::open(path)
            && let Ok(metadata) = file.metadata()
        {
            follower.current = Some((file, metadata.ino(), metadata.len()));
        }
        follower
    }

    /// Hands out what was added since the last call. To be called again after a moment, for ever: logs are written by
    /// another process, which tells nobody.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn poll(&mut self, mut sink: impl FnMut(&Record<'_>)) -> io::Result<()> {
        loop {
            self.drain(&mut sink)?;
            // Rotated or made meanwhile? Then the rest of the old file was just read.
            match std::fs::metadata(&self.path) {
                Ok(metadata)
                    if self.current.as_ref().is_none_or(|(_, inode, _)| *inode != metadata.ino()) =>
                {
                    let file = File::open(&self.path)?;
                    let inode = file.metadata()?.ino();
                    self.drain(&mut sink)?;
                    self.part.clear();
                    self.current = Some((file, inode, 0));
                }
                _ => return Ok(()),
            }
        }
    }

    fn drain(&mut self, sink: &mut impl FnMut(&Record<'_>)) -> io::Result<()> {
        let Some((file, _, at)) = &mut self.current else { return Ok(()) };
        file.seek(SeekFrom::Start(*at))?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            *at += read as u64;
            self.part.extend_from_slice(&buffer[..read]);
            let mut rest = &self.part[..];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                if let Some(record) = Record::parse(&rest[..end]) {
                    sink(&record);
                }
                rest = &rest[end + 1..];
            }
            let left = rest.len();
            self.part.drain(..self.part.len() - left);
            // What never ends is no record.
            if self.part.len() > RECORD_BYTES_MAX {
                self.part.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogOptions, LogWriter};

    #[test]
    fn a_follower_sees_each_record_once_across_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let before = LogWriter::start().unwrap();
        let out = before.open(LogOptions { path: path.clone(), bytes: 9000, generation: 1 });
        out.print(b"before\n");
        drop(before);
        let mut follower = Follower::from_end(&path);
        let mut seen = Vec::new();
        for round in 0..40 {
            let writer = LogWriter::start().unwrap();
            let out = writer.open(LogOptions { path: path.clone(), bytes: 9000, generation: 1 });
            for number in 0..20 {
                out.print(format!("{round}-{number}\n").as_bytes());
            }
            drop(writer);
            follower.poll(|record| seen.push(String::from_utf8(record.text.to_vec()).unwrap())).unwrap();
        }
        let expected: Vec<String> =
            (0..40).flat_map(|round| (0..20).map(move |number| format!("{round}-{number}"))).collect();
        assert_eq!(seen, expected);
        assert!(files(&path)[0].exists(), "it was rotated");
    }

    #[test]
    fn what_is_read_and_what_is_followed_is_each_record_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let add = |text: &str| {
            use std::io::Write as _;
            File::options()
                .append(true)
                .create(true)
                .open(&path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        };
        add("1 1 o a\n2 1 o b\n3 1 o cut");
        let (reader, mut follower) = LogReader::open_followed(&path).unwrap();
        add(" off\n4 1 o d\n");
        let mut seen = Vec::new();
        let text = |record: &Record<'_>| String::from_utf8(record.text.to_vec()).unwrap();
        reader
            .each(|record| {
                seen.push(text(record));
                true
            })
            .unwrap();
        follower.poll(|record| seen.push(text(record))).unwrap();
        assert_eq!(seen, ["a", "b", "cut off", "d"]);
    }

    #[test]
    fn a_follower_waits_for_a_log_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let mut follower = Follower::from_end(&path);
        follower.poll(|_| panic!("there is nothing")).unwrap();
        std::fs::write(&path, "1 1 o first\n1 1 o sec").unwrap();
        let mut seen = 0;
        follower.poll(|_| seen += 1).unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn rubbish_is_skipped_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let rubbish = [b"\n\nno record\n".to_vec(), vec![b'x'; 100_000], b"\n1 1 o good\n".to_vec()].concat();
        std::fs::write(&path, rubbish).unwrap();
        let mut seen = Vec::new();
        LogReader::open(&path)
            .unwrap()
            .each(|record| {
                seen.push(record.text.to_vec());
                true
            })
            .unwrap();
        assert_eq!(seen, [b"good".to_vec()]);
    }
}
