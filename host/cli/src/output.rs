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

/// Whether standard error shows colours.
pub(crate) fn colours() -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    wanted && able && std::io::stderr().is_terminal()
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

/// What is wrong with a manifest, each mistake with its place; ends with a newline.
pub(crate) fn manifest_errors(errors: &qyv_spec::yaml::ManifestErrors, colours: bool) -> String {
    let label = if colours { "\x1b[31;1merror\x1b[0m" } else { "error" };
    let list: Vec<String> = errors.to_string().split("\n\n").map(|one| format!("{label}: {one}")).collect();
    format!("{}\n", list.join("\n\n"))
}
