//! What a guest may do to the terminal: write text, in colours, and move the cursor.
//!
//! Anything else that a terminal obeys could lie to the person before it or reach beyond the window: setting the
//! title or the clipboard (OSC), device-control strings (DCS), questions that the terminal answers as if typed, private
//! modes such as the alternate screen, and the 8-bit forms of all these (C1). Those sequences are dropped whole, also
//! when they arrive in pieces.
//!
//! The states follow ECMA-48, section 5.4, and the parser for DEC-compatible terminals by Paul Flo Williams
//! (<https://vt100.net/emu/dec_ansi_parser>).

use std::io::{self, Write};

/// The longest control sequence that is passed on, in bytes. Longer ones mean nothing to a terminal.
const SEQUENCE_BYTES_MAX: usize = 64;

/// A writer that passes on text, colours and plain cursor motion, and drops every other terminal sequence.
#[derive(Debug)]
pub(crate) struct TerminalFilter<W> {
    inner: W,
    /// Only colours pass, and nothing that leaves the place where the text is being written.
    in_line: bool,
    state: State,
    /// The control sequence so far, which may have come in several writes.
    sequence: Vec<u8>,
    /// The character of several bytes that has begun, and how many bytes it will have.
    character: Vec<u8>,
    character_bytes: usize,
    /// Text that may be passed on; kept from write to write to save allocations.
    passed: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Text.
    Ground,
    /// After 0xC2, which begins the UTF-8 form of a C1 control.
    AfterC2,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: one final byte follows.
    EscapeIntermediate,
    /// In a control sequence, after ESC `[`.
    Control,
    /// In a control sequence that is dropped whatever ends it.
    ControlDropped,
    /// In a string (OSC, DCS, SOS, PM, APC), which ends with ST, or with BEL.
    Text,
    /// In a string, after ESC.
    TextEscape,
    /// In a string, after 0xC2.
    TextAfterC2,
}

impl<W: Write> TerminalFilter<W> {
    /// A filter before `inner`.
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            in_line: false,
            state: State::Ground,
            sequence: Vec::new(),
            character: Vec::new(),
            character_bytes: 0,
            passed: Vec::new(),
        }
    }

    /// A filter for one line among others, of which the text before it and the lines above are not the guest's: it passes
    /// text and colours on.
    pub(crate) fn in_line(inner: W) -> Self {
        Self { in_line: true, ..Self::new(inner) }
    }

    fn take(&mut self, byte: u8) {
        self.state = match self.state {
            State::Ground => self.ground(byte),
            State::AfterC2 => match byte {
                // U+0080 to U+009F: the C1 controls.
                0x90 | 0x98 | 0x9d | 0x9e | 0x9f => State::Text,
                0x9b => State::ControlDropped,
                0x80..=0x9f => State::Ground,
                0xa0..=0xbf => {
                    self.passed.extend([0xc2, byte]);
                    State::Ground
                }
                _ => self.ground(byte),
            },
            State::Escape => match byte {
                b'[' => {
                    self.sequence.clear();
                    State::Control
                }
                b']' | b'P' | b'X' | b'^' | b'_' => State::Text,
                0x20..=0x2f => State::EscapeIntermediate,
                0x1b => State::Escape,
                // Aborted, and itself a control.
                0x00..=0x1f => self.ground(byte),
                // Character sets, resets, keypad modes: dropped with their one byte.
                _ => State::Ground,
            },
            State::EscapeIntermediate => match byte {
                0x20..=0x2f => State::EscapeIntermediate,
                0x1b => State::Escape,
                _ => State::Ground,
            },
            State::Control => match byte {
                b'0'..=b'9' | b';' | b':' if self.sequence.len() < SEQUENCE_BYTES_MAX => {
                    self.sequence.push(byte);
                    State::Control
                }
                0x40..=0x7e => {
                    if is_harmless(byte) && (byte == b'm' || !self.in_line) {
                        self.passed.extend(b"\x1b[");
                        self.passed.append(&mut self.sequence);
                        self.passed.push(byte);
                    }
                    State::Ground
                }
                0x1b => State::Escape,
                0x18 | 0x1a => State::Ground,
                _ => State::ControlDropped,
            },
            State::ControlDropped => match byte {
                0x40..=0x7e | 0x18 | 0x1a => State::Ground,
                0x1b => State::Escape,
                _ => State::ControlDropped,
            },
            State::Text => match byte {
                0x07 | 0x18 | 0x1a => State::Ground,
                0x1b => State::TextEscape,
                0xc2 => State::TextAfterC2,
                _ => State::Text,
            },
            State::TextEscape => match byte {
                b'\\' => State::Ground,
                0x1b => State::TextEscape,
                // ESC ends the string; what follows begins a new sequence.
                _ => {
                    self.state = State::Escape;
                    self.take(byte);
                    self.state
                }
            },
            State::TextAfterC2 => match byte {
                0x9c | 0x07 => State::Ground,
                0x1b => State::TextEscape,
                0xc2 => State::TextAfterC2,
                _ => State::Text,
            },
        };
    }

    fn ground(&mut self, byte: u8) -> State {
        match byte {
            0x1b => return State::Escape,
            0xc2 => return State::AfterC2,
            // Bell, backspace, tab, line feed, vertical tab, form feed, carriage return.
            0x08 | 0x0b..=0x0d if self.in_line => {}
            0x07..=0x0d | 0x20..=0x7e => self.passed.push(byte),
            0xc3..=0xdf => self.begin_character(byte, 2),
            0xe0..=0xef => self.begin_character(byte, 3),
            0xf0..=0xf4 => self.begin_character(byte, 4),
            // C0 controls that answer, switch character sets or delete; C1 controls of one byte; what is not UTF-8.
            _ => {}
        }
        State::Ground
    }
}

impl<W> TerminalFilter<W> {
    fn begin_character(&mut self, byte: u8, bytes: usize) {
        self.character.clear();
        self.character.push(byte);
        self.character_bytes = bytes;
    }

    /// Takes a later byte of a character. Within one, 0x80 to 0x9f are text and no controls, so what is passed on must
    /// be a character that every terminal reads as one.
    fn continue_character(&mut self, byte: u8) -> bool {
        if self.character.is_empty() || byte & 0xc0 != 0x80 {
            self.character.clear();
            return false;
        }
        self.character.push(byte);
        if self.character.len() == self.character_bytes {
            if std::str::from_utf8(&self.character).is_ok() {
                self.passed.extend_from_slice(&self.character);
            }
            self.character.clear();
        }
        true
    }
}

/// Whether a control sequence only moves the cursor, erases or colours. Without private markers, which never get here.
fn is_harmless(last: u8) -> bool {
    // CUU CUD CUF CUB CNL CPL CHA CUP ED EL SU SD HVP SGR.
    matches!(last, b'A'..=b'H' | b'J' | b'K' | b'S' | b'T' | b'f' | b'm')
}

impl<W: Write> TerminalFilter<W> {
    /// Writes what is passed on. What a full terminal does not take stays, to be written before anything else: a
    /// sequence that is cut must not be completed by bytes that were judged as text.
    fn drain(&mut self) -> io::Result<()> {
        while !self.passed.is_empty() {
            match self.inner.write(&self.passed) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.passed.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for TerminalFilter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.drain()?;
        for &byte in bytes {
            if !self.continue_character(byte) {
                self.take(byte);
            }
        }
        match self.drain() {
            // The bytes are judged, so they are taken; the rest of them goes out first next time.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out, whether the bytes come at once or one by one.
    #[track_caller]
    fn check(input: &[u8], expected: &[u8]) {
        let mut whole = TerminalFilter::new(Vec::new());
        whole.write_all(input).unwrap();
        let mut pieces = TerminalFilter::new(Vec::new());
        for byte in input {
            pieces.write_all(&[*byte]).unwrap();
        }
        assert_eq!(String::from_utf8_lossy(&whole.inner), String::from_utf8_lossy(expected));
        assert_eq!(whole.inner, pieces.inner, "split writes must not differ");
    }

    #[test]
    fn text_colours_and_motion_pass() {
        for input in [
            "plain\r\n\ttext",
            "\x1b[31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[m \x1b[4:3mcurly",
            "\x1b[2J\x1b[H\x1b[3A\x1b[10;20H\x1b[K",
            "ñ 🐉 \u{a0} ÿ \u{7ff} \u{ffff}",
        ] {
            check(input.as_bytes(), input.as_bytes());
        }
    }

    #[test]
    fn within_a_line_only_text_and_colours_pass() {
        let mut filter = TerminalFilter::in_line(Vec::new());
        filter.write_all(b"a\rb\x08c\x1b[2Ad\x1b[31me\x0bf\x0cg\x1b[1G\x1b[2K\th").unwrap();
        assert_eq!(String::from_utf8_lossy(&filter.inner), "abcd\x1b[31mefg\th");
    }

    #[test]
    fn titles_clipboard_and_device_strings_vanish() {
        check(b"a\x1b]0;title\x07b", b"ab");
        check(b"a\x1b]52;c;ZXZpbA==\x1b\\b", b"ab");
        check(b"a\x1bP+q544e\x1b\\b", b"ab");
        check(b"a\x1b_apc\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", b"abcd");
        check("a\u{9d}0;t\u{9c}b\u{90}q\u{9c}c".as_bytes(), b"abc");
        check(b"a\x1b]never ended", b"a");
        // A sequence inside a string is not let out by the string's end.
        check(b"a\x1b]x\x1b[31mb", b"a\x1b[31mb");
    }

    #[test]
    fn questions_modes_and_controls_vanish() {
        for sequence in [
            "\x1b[c",
            "\x1b[6n",
            "\x1b[?1049h",
            "\x1b[>c",
            "\x1b[5i",
            "\x1b[21t",
            "\x1b[?25l",
            "\x1b[!p",
            "\x1b(0",
            "\x1bc",
            "\x1b#8",
            "\x1b[1 q",
            "\x05",
            "\x0e",
            "\x7f",
            "\u{9b}6n",
            "\u{85}",
            "\x1bZ",
            "\x1b[20h",
            "\x1b[=c",
        ] {
            check(format!("a{sequence}b").as_bytes(), b"ab");
        }
        check(b"a\x9b6nb", b"a6nb");
        // Not UTF-8, which terminals read in different ways.
        check(b"a\xe0\x9b\x9bb\xff\xc0\x9bc", b"abc");
    }

    /// Takes one byte at every other call, and none at the others.
    struct Slow(Vec<u8>, bool);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if !self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0.push(bytes[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_is_full_gets_every_byte_once_and_in_order() {
        let mut filter = TerminalFilter::new(Slow(Vec::new(), false));
        for piece in ["a\x1b[31m", "]52;c;eA==\x07", "\x1b]52;c;eA==\x07b"] {
            while filter.write(piece.as_bytes()).is_err() {}
        }
        while filter.flush().is_err() {}
        assert_eq!(filter.inner.0, b"a\x1b[31m]52;c;eA==\x07b");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through_random_bytes() {
        let mut state = 1_u64;
        for _ in 0..2_000 {
            let mut input = Vec::new();
            for _ in 0..64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let alphabet = b"\x1b\x1b[]P\x07\\;0m?c\xc2\x9b\x9d\xe2\x82n A";
                input.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            let mut filter = TerminalFilter::new(Vec::new());
            filter.write_all(&input).unwrap();
            let output = String::from_utf8(filter.inner).unwrap();
            assert!(!output.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c)), "{input:?}");
            let mut rest = output.as_str();
            while let Some(at) = rest.find('\x1b') {
                let sequence = rest[at + 1..].strip_prefix('[').expect("only control sequences");
                let end = sequence.find(|c: char| !matches!(c, '0'..='9' | ';' | ':')).unwrap();
                assert!(is_harmless(sequence.as_bytes()[end]), "{input:?}");
                rest = &sequence[end..];
            }
        }
    }
}
