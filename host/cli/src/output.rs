//! Writing to people: standard error, in colours only on a terminal that wants them.

use std::io::{IsTerminal as _, Write};

use crate::failure::Failure;
use crate::language::translated;
use crate::palette::{Depth, Tone};
use crate::terminal::TerminalFilter;

/// Prints a failure and how to mend it.
pub(crate) fn failure(failure: &Failure) {
    if failure.message.ends_with('\n') {
        report(&failure.message);
    } else {
        labelled("error", Tone::Error, &failure.message);
    }
    failure.hints.iter().for_each(|mend| hint(mend));
}

/// Prints a warning.
pub(crate) fn warning(message: &str) {
    labelled("warning", Tone::Warning, message);
}

/// Prints a line that tells how to mend something.
pub(crate) fn hint(message: &str) {
    labelled("hint", Tone::Hint, message);
}

/// Prints a line of no label.
pub(crate) fn note(message: &str) {
    note_raw(&format!("{}\n", translated(message)));
}

/// Prints a report of several lines, some of which may be errors.
fn report(text: &str) {
    for line in text.lines() {
        match line.strip_prefix("error: ") {
            Some(message) => labelled("error", Tone::Error, message),
            None => note(line),
        }
    }
}

/// A text for standard error in the colour of an app's state.
pub(crate) fn of_state(text: &str, state: &str) -> String {
    crate::table::tone_of_state(state).map_or_else(|| text.to_owned(), |tone| tone.paint(text, depth()))
}

/// The colours of standard error.
fn depth() -> Depth {
    Depth::of(std::io::stderr().is_terminal())
}

fn labelled(label: &str, tone: Tone, message: &str) {
    note_raw(&format!("{}: {}\n", tone.paint(&translated(label), depth()), translated(message)));
}

/// A command whose own messages have our colours.
pub(crate) fn styled(command: clap::Command) -> clap::Command {
    use clap::builder::Styles;
    let style = |tone: Tone| tone.of_clap(depth());
    match (style(Tone::Error), style(Tone::Good), style(Tone::Warning)) {
        (Some(error), Some(valid), Some(invalid)) => {
            command.styles(Styles::styled().error(error.bold()).valid(valid).invalid(invalid))
        }
        _ => command,
    }
}

/// Prints help, which asked for is data.
pub(crate) fn help(plain: &str, coloured: &str, to_errors: bool) {
    let on = |is_terminal| if Depth::of(is_terminal) == Depth::Plain { plain } else { coloured };
    if to_errors {
        note_raw(on(std::io::stderr().is_terminal()));
    } else {
        let _ = data(on(std::io::stdout().is_terminal()));
    }
}

/// A closed standard error is no reason to fail.
fn note_raw(text: &str) {
    let stderr = std::io::stderr().lock();
    let on_terminal = stderr.is_terminal();
    let _ = write(stderr, on_terminal, text);
}

/// Messages and reports name files, imports and functions: on a terminal, those must not command it.
fn write(mut stream: impl Write, on_terminal: bool, text: &str) -> std::io::Result<()> {
    if on_terminal {
        TerminalFilter::new(&mut stream).write_all(text.as_bytes())?;
    } else {
        stream.write_all(text.as_bytes())?;
    }
    stream.flush()
}

/// Prints a report as one line of JSON to standard error, which is the same in every language.
pub(crate) fn line_of_json(value: &serde_json::Value) {
    note_raw(&format!("{value}\n"));
}

/// Prints a report as one line of JSON to standard output.
pub(crate) fn json(value: &serde_json::Value) -> crate::failure::Result<()> {
    data(&format!("{value}\n"))
}

/// Prints a table to standard output: coloured and cut on a terminal, whole and plain elsewhere.
pub(crate) fn table(table: &crate::table::Table) -> crate::failure::Result<()> {
    let stdout = std::io::stdout();
    let width = stdout.is_terminal().then(|| {
        let size = rustix::termios::tcgetwinsize(&stdout);
        // A terminal that does not know its size says zero.
        size.map_or(0, |size| usize::from(size.ws_col))
    });
    data(&table.text(width.filter(|width| *width > 0), Depth::of(stdout.is_terminal())))
}

/// Prints what was found out to standard output, in the language of who reads it.
pub(crate) fn told(text: &str) -> crate::failure::Result<()> {
    data(&translated(text))
}

/// Prints data to standard output. A reader that left (`| head`) is success, as for other tools.
pub(crate) fn data(text: &str) -> crate::failure::Result<()> {
    let stdout = std::io::stdout().lock();
    let on_terminal = stdout.is_terminal();
    match write(stdout, on_terminal, text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::own(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Clears the terminal that standard output is.
pub(crate) fn clear() {
    // Home, and clear what is below. A terminal that is gone is noticed by the next write.
    let _ = put(std::io::stdout().lock(), b"\x1b[H\x1b[2J");
}

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Errors,
}

/// Writes a line, without its end, of a stream that may go on for ever; `false` when its reader left. What a terminal would
/// obey is dropped from it unless `raw`, and nothing in it reaches into the next line.
pub(crate) fn line(stream: Stream, text: &str, raw: bool) -> crate::failure::Result<bool> {
    let on_terminal = match stream {
        Stream::Output => std::io::stdout().is_terminal(),
        Stream::Errors => std::io::stderr().is_terminal(),
    };
    let mut bytes = if on_terminal && !raw { harmless(text) } else { text.as_bytes().to_vec() };
    bytes.push(b'\n');
    let written = match stream {
        Stream::Output => put(std::io::stdout().lock(), &bytes),
        Stream::Errors => put(std::io::stderr().lock(), &bytes),
    };
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::own(format!("cannot write: {error}"))),
    }
}

fn put(mut stream: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// The line as a terminal may have it: a sequence that it begins and does not end is gone, a colour that it does not end
/// ends with it.
fn harmless(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes everything.
    let _ = TerminalFilter::in_line(&mut bytes).write_all(text.as_bytes());
    if bytes.contains(&b'\x1b') {
        bytes.extend(b"\x1b[0m");
    }
    bytes
}

/// What is seen of a line: without its colours, too.
pub(crate) fn seen(text: &str) -> String {
    let bytes = harmless(text);
    let text = String::from_utf8_lossy(&bytes);
    let mut parts = text.split("\x1b[");
    let mut seen = parts.next().unwrap_or_default().to_owned();
    // Each of the others begins with what is left of a colour.
    seen.extend(parts.filter_map(|part| part.split_once('m').map(|(_, rest)| rest)));
    seen
}

/// What is wrong with a manifest, each mistake with its place; ends with a newline.
pub(crate) fn manifest_errors(errors: &qyv_spec::yaml::ManifestErrors) -> String {
    let list: Vec<String> = errors.to_string().split("\n\n").map(|one| format!("error: {one}")).collect();
    format!("{}\n", list.join("\n\n"))
}
