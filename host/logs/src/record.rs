//! One line of a log.

use std::fmt;

/// The most bytes of text in one record; a longer line continues in the next one.
pub const LINE_BYTES_MAX: usize = 16 << 10;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The app's standard output.
    Stdout,
    /// The app's standard error.
    Stderr,
    /// What the host says about the app.
    Host,
}

/// One record: `<milliseconds> <generation> <kind> <text>`.
///
/// The kind is `o`, `e` or `q` for a whole line of standard output, standard error or the host, and `O` or `E` for a part
/// of one that the next record of the same kind continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When the line began, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: u64,
    /// The generation of the instance that printed it.
    pub generation: u64,
    /// Where it came from.
    pub stream: Stream,
    /// Whether the line ends here.
    pub whole: bool,
    /// The bytes as they were printed, without the end of the line. They hold no line feed.
    pub text: &'a [u8],
}

impl Stream {
    const fn letter(self, whole: bool) -> u8 {
        match (self, whole) {
            (Self::Stdout, true) => b'o',
            (Self::Stdout, false) => b'O',
            (Self::Stderr, true) => b'e',
            (Self::Stderr, false) => b'E',
            (Self::Host, _) => b'q',
        }
    }

    fn of_letter(letter: u8) -> Option<(Self, bool)> {
        Some(match letter {
            b'o' => (Self::Stdout, true),
            b'O' => (Self::Stdout, false),
            b'e' => (Self::Stderr, true),
            b'E' => (Self::Stderr, false),
            b'q' => (Self::Host, true),
            _ => return None,
        })
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Host => "qyvol",
        })
    }
}

impl<'a> Record<'a> {
    /// Adds the record with its line feed.
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let letter = char::from(self.stream.letter(self.whole));
        into.extend_from_slice(format!("{} {} {letter} ", self.time, self.generation).as_bytes());
        into.extend_from_slice(self.text);
        into.push(b'\n');
    }

    /// Reads a line without its line feed. `None` for what is no record, such as a line that a crash cut.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let mut number = || -> Option<u64> {
            let digits = std::str::from_utf8(parts.next()?).ok()?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (time, generation) = (number()?, number()?);
        let &[letter] = parts.next()? else { return None };
        let (stream, whole) = Stream::of_letter(letter)?;
        Some(Self { time, generation, stream, whole, text: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_what_is_none_is_skipped() {
        for (stream, whole) in [
            (Stream::Stdout, true),
            (Stream::Stdout, false),
            (Stream::Stderr, true),
            (Stream::Stderr, false),
            (Stream::Host, true),
        ] {
            let record = Record { time: 17, generation: 3, stream, whole, text: b"a  b \xff" };
            let mut line = Vec::new();
            record.write(&mut line);
            assert_eq!(line.pop(), Some(b'\n'));
            assert_eq!(Record::parse(&line), Some(record));
        }
        assert_eq!(Record::parse(b"1 2 o ").map(|record| record.text.len()), Some(0));
        for bad in
            [&b""[..], b"1 2 o", b"1 2 x t", b"1 o t", b" 2 o t", b"+1 2 o t", b"1 2 oo t", b"\xff 2 o t"]
        {
            assert_eq!(Record::parse(bad), None, "{bad:?}");
        }
    }
}
