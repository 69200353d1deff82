//! Writing to people: standard error, in colours only on a terminal that wants them.

use std::io::{IsTerminal as _, Write};

use crate::failure::Failure;
use crate::terminal::TerminalFilter;

/// Prints a failure and how to mend it.
pub(crate) fn failure(failure: &Failure) {
    if failure.message.ends_with('\n') {
        note_raw(&failure.message);
    } else {
        labelled("error", "31;1", &failure.message);
    }
    for hint in &failure.hints {
        labelled("hint", "36;1", hint);
    }
}

/// Prints a warning.
pub(crate) fn warning(message: &str) {
    labelled("warning", "33;1", message);
}

/// Prints a line that tells how to mend something.
pub(crate) fn hint(message: &str) {
    labelled("hint", "36;1", message);
}

/// Prints a line of no label.
pub(crate) fn note(message: &str) {
    note_raw(&format!("{message}\n"));
}

/// A text for standard error in the colour of an app's state.
pub(crate) fn of_state(text: &str, state: &str) -> String {
    match crate::table::style_of_state(state).filter(|_| colours()) {
        Some(style) => format!("\x1b[{style}m{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

/// Whether standard error shows colours.
pub(crate) fn colours() -> bool {
    wants_colours(std::io::stderr().is_terminal())
}

fn wants_colours(is_terminal: bool) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    wanted && able && is_terminal
}

fn labelled(label: &str, style: &str, message: &str) {
    if colours() {
        note_raw(&format!("\x1b[{style}m{label}\x1b[0m: {message}\n"));
    } else {
        note_raw(&format!("{label}: {message}\n"));
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
    data(&table.text(width.filter(|width| *width > 0), wants_colours(stdout.is_terminal())))
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
    let _ = TerminalFilter::new(&mut bytes).write_all(text.as_bytes());
    if bytes.contains(&b'\x1b') {
        bytes.extend(b"\x1b[0m");
    }
    bytes
}

/// What is wrong with a manifest, each mistake with its place; ends with a newline.
pub(crate) fn manifest_errors(errors: &qyv_spec::yaml::ManifestErrors, colours: bool) -> String {
    let label = if colours { "\x1b[31;1merror\x1b[0m" } else { "error" };
    let list: Vec<String> = errors.to_string().split("\n\n").map(|one| format!("{label}: {one}")).collect();
    format!("{}\n", list.join("\n\n"))
}
