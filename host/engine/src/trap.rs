//! What a trap was, for people.

use std::fmt;

use wasmtime::WasmBacktrace;

/// A trap, described for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trap {
    /// What happened, in a sentence without its full stop.
    pub reason: String,
    /// The functions that were active, innermost first.
    pub frames: Vec<Frame>,
}

/// A function that was active when a guest trapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The demangled name, or `function N` where the module has no names.
    pub function: String,
    /// Source file and line, when the module brings debugging information.
    pub location: Option<String>,
    /// Where in the module's bytes the instruction lies.
    pub offset: Option<usize>,
}

/// Describes the error with which a guest ended.
pub(crate) fn describe(error: &wasmtime::Error) -> Trap {
    let reason = match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::StackOverflow) => {
            "the stack is used up (`limits.stack` sets its size)".to_owned()
        }
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None if error.is::<wasmtime::ThrownException>() => "an exception that nobody caught".to_owned(),
        None => error.root_cause().to_string(),
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    Trap { reason, frames }
}

fn frames(backtrace: &WasmBacktrace) -> Vec<Frame> {
    backtrace
        .frames()
        .iter()
        .map(|frame| {
            let name =
                frame.func_name().map(|name| short(format_args!("{:#}", rustc_demangle::demangle(name))));
            let location = frame.symbols().iter().find_map(|symbol| {
                let file = symbol.file()?;
                Some(symbol.line().map_or_else(
                    || short(format_args!("{file}")),
                    |line| format!("{}:{line}", short(format_args!("{file}"))),
                ))
            });
            Frame {
                function: name.unwrap_or_else(|| format!("function {}", frame.func_index())),
                location,
                offset: frame.module_offset(),
            }
        })
        .collect()
}

/// The most bytes of a name in a backtrace. A module may name its functions as it likes, and a mangled name of a few bytes
/// can stand for a megabyte.
const NAME_BYTES_MAX: usize = 256;

/// Writes what fits, and stops whoever writes more.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = NAME_BYTES_MAX - self.0.len();
        let part = &text[..text.floor_char_boundary(room)];
        self.0.push_str(part);
        if part.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

fn short(name: fmt::Arguments<'_>) -> String {
    let mut short = Short(String::new());
    if fmt::write(&mut short, name).is_err() {
        short.0.push('…');
    }
    short.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_however_long_it_becomes() {
        assert_eq!(short(format_args!("{}", "main")), "main");
        let long = short(format_args!("{}", "é".repeat(1000)));
        assert_eq!(long.len(), NAME_BYTES_MAX + '…'.len_utf8());
        // Each level of a v0 name with back references doubles what it stands for.
        let mut bomb = "_RNvC1a1bINvB0_1c".to_owned();
        bomb.push_str(&"TTB2_B2_E".repeat(20));
        let demangled = short(format_args!("{:#}", rustc_demangle::demangle(&bomb)));
        assert!(demangled.len() <= NAME_BYTES_MAX + 3, "{}", demangled.len());
    }
}
