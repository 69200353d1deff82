//! What a trap was, for people.

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
            let name = frame.func_name().map(|name| format!("{:#}", rustc_demangle::demangle(name)));
            let location = frame.symbols().iter().find_map(|symbol| {
                let line = symbol.line().map(|line| format!(":{line}")).unwrap_or_default();
                Some(format!("{}{line}", symbol.file()?))
            });
            Frame {
                function: name.unwrap_or_else(|| format!("function {}", frame.func_index())),
                location,
                offset: frame.module_offset(),
            }
        })
        .collect()
}
