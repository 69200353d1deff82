//! Mistakes in a text, each at its place, for people and for `miette`.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::MANIFEST_BYTES_MAX;

/// A mistake before it is tied to its text.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) mend: String,
    /// Bytes of the text.
    pub(super) span: Range<usize>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, mend: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), mend: mend.into(), span }
    }
}

/// Everything that is wrong with a text, in the order of its lines. `Display` shows each mistake with its line.
#[derive(Clone, Debug)]
pub struct ManifestErrors {
    /// The mistakes; never empty.
    pub errors: Vec<ManifestError>,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct ManifestError {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub mend: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
    span: Range<usize>,
    source: Arc<NamedSource<String>>,
}

impl ManifestErrors {
    pub(super) fn new(name: &str, text: &str, faults: Vec<Fault>) -> Self {
        let source = Arc::new(NamedSource::new(name, text.to_owned()));
        let errors = faults.into_iter().map(|fault| ManifestError::new(fault, text, &source)).collect();
        Self { errors }
    }
}

impl ManifestError {
    fn new(fault: Fault, text: &str, source: &Arc<NamedSource<String>>) -> Self {
        let start = floor(text, fault.span.start);
        let end = floor(text, fault.span.end).max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            message: fault.message,
            mend: fault.mend,
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            span: start..end,
            source: Arc::clone(source),
        }
    }

    /// The bytes of the text that are wrong.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// The start of the character that holds byte `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.render(f)?;
        }
        Ok(())
    }
}

/// Most characters of a line that are shown.
const SHOWN_COLUMNS_MAX: usize = 100;

impl ManifestError {
    fn render(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.inner();
        writeln!(f, "{}", self.message)?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter}--> {}:{}:{}", self.source.name(), self.line, self.column)?;
        if let Some(line) = text.lines().nth(self.line - 1) {
            let shown: String = line.chars().take(SHOWN_COLUMNS_MAX).map(plain).collect();
            let rest = line.chars().count() + 1 - self.column.min(line.chars().count() + 1);
            let wide = text.get(self.span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
            let marks =
                wide.chars().count().min(rest).min(SHOWN_COLUMNS_MAX.saturating_sub(self.column - 1)).max(1);
            writeln!(f, "{gutter} |\n{number} | {shown}")?;
            if self.column <= SHOWN_COLUMNS_MAX {
                writeln!(f, "{gutter} | {}{}", " ".repeat(self.column - 1), "^".repeat(marks))?;
            }
        }
        write!(f, "{gutter} = help: {}", self.mend)
    }
}

/// A character that cannot move the cursor.
fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ManifestErrors {}
impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.mend))
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

/// One mistake is shown as itself; several as a list of diagnostics.
impl Diagnostic for ManifestErrors {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        None
    }
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}

/// The text of a file, if it is short enough and UTF-8.
pub(super) fn decode<'a>(bytes: &'a [u8], name: &str, what: &str) -> Result<&'a str, ManifestErrors> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(too_large(name, what));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let good = std::str::from_utf8(good).unwrap_or_default();
        let fault = Fault::new(
            format!("the {what} is not UTF-8: a byte after this place is part of no character"),
            "save it as UTF-8 text",
            good.len()..good.len(),
        );
        ManifestErrors::new(name, good, vec![fault])
    })
}

/// Refuses what no parser needs to look at.
pub(super) fn check_text(text: &str, name: &str, what: &str) -> Result<(), ManifestErrors> {
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(too_large(name, what));
    }
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| bad(*c)) {
        let message = format!("the {what} has a control character, U+{:04X}", u32::from(c));
        let mend = "remove it; inside double quotes it can be written as an escape";
        return Err(ManifestErrors::new(name, text, vec![Fault::new(message, mend, at..at + c.len_utf8())]));
    }
    Ok(())
}

fn too_large(name: &str, what: &str) -> ManifestErrors {
    let message = format!("the {what} is larger than {MANIFEST_BYTES_MAX} bytes");
    ManifestErrors::new(
        name,
        "",
        vec![Fault::new(message, "put data into files of its own, and list them", 0..0)],
    )
}
