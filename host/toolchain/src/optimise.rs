//! Smaller programs: without what only debuggers read, and by `wasm-opt` where that helps.

use std::path::Path;

use crate::part::{Mend, Part, State, program};
use crate::run::Run;
use crate::{Error, Host, Observer, Result, Version, module};

/// The first version whose options are those below.
const LEAST: Version = Version(105, 0, 0);
/// The first version that writes garbage collection and exceptions as the standard has them.
const LEAST_GC: Version = Version(119, 0, 0);
/// What compilers use without being asked. `wasm-opt` may use no more than this, so that it brings in nothing new.
const FEATURES: [&str; 8] = [
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-simd",
    "--enable-tail-call",
];
const FEATURES_GC: [&str; 2] = ["--enable-gc", "--enable-exception-handling"];

/// A program that was made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optimised {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why `wasm-opt` had no part in it; nothing when it had.
    pub without: Option<String>,
}

/// What optimises modules of all languages.
#[must_use]
pub fn wasm_opt(host: &Host) -> Part {
    Part {
        name: "wasm-opt",
        wanted: format!("{} or newer, {} for Kotlin", LEAST.0, LEAST_GC.0),
        state: program(host, &["wasm-opt"], &["--version"], LEAST),
        optional: Some("`build --release`"),
        mend: Mend::Packages(&["binaryen"]),
    }
}

/// Makes a valid module or component smaller, in the folder `scratch`. What `wasm-opt` makes is taken when it is smaller and
/// valid; that it is absent, or does not know the module's features, is no failure.
///
/// # Errors
///
/// When files in `scratch` cannot be written or read.
pub fn optimise(bytes: &[u8], scratch: &Path, host: &Host, observer: &mut dyn Observer) -> Result<Optimised> {
    let stripped = module::stripped(bytes);
    let without = |why: &str| Ok(Optimised { bytes: stripped.clone(), without: Some(why.to_owned()) });
    if module::is_component(&stripped) {
        return without("`wasm-opt` knows modules, and no components");
    }
    let (path, version) = match wasm_opt(host).state {
        State::Found { path, version } => (path, version.unwrap_or_default()),
        State::Old { version, .. } => return without(&format!("`wasm-opt` {version} is too old")),
        State::Absent => return without("`wasm-opt` is not installed"),
    };
    let gc = module::needs_gc_or_exceptions(&stripped);
    if gc && version < LEAST_GC {
        return without(&format!(
            "`wasm-opt` {} does not know the program's features; {} does",
            version.0, LEAST_GC.0
        ));
    }
    let (before, after) = (scratch.join("before.wasm"), scratch.join("after.wasm"));
    std::fs::write(&before, &stripped).map_err(|error| Error::system("write", &before, error))?;
    let run = Run::new(host, &path).args(FEATURES).args(if gc { &FEATURES_GC[..] } else { &[] });
    let run = run.arg("-O3").arg(&before).arg("-o").arg(&after);
    if let Err(error) = run.compile(observer) {
        return without(&error.to_string());
    }
    let made = std::fs::read(&after).map_err(|error| Error::system("read", &after, error))?;
    for file in [&before, &after] {
        // What stays is overwritten by the next one.
        let _ = std::fs::remove_file(file);
    }
    if let Err(why) = module::check(&made) {
        return without(&format!("`wasm-opt` made no valid module: {why}"));
    }
    if made.len() >= stripped.len() {
        return without("`wasm-opt` made it no smaller");
    }
    Ok(Optimised { bytes: made, without: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Heard, machine};

    const NAMED: &str =
        "(module $m (func $a_name (export \"f\") (result i32) i32.const 1 i32.const 2 i32.add))";

    #[track_caller]
    fn without(script: &str, text: &str, expected: &str) {
        let (folder, host) = if script.is_empty() { machine(&[]) } else { machine(&[("wasm-opt", script)]) };
        let bytes = wat::parse_str(text).unwrap();
        let mut heard = Heard::default();
        let done = optimise(&bytes, folder.path(), &host, &mut heard).unwrap();
        let why = done.without.unwrap();
        assert!(why.contains(expected), "{why}");
        assert!(done.bytes.len() < bytes.len());
        module::check(&done.bytes).unwrap();
    }

    #[test]
    fn without_a_useful_wasm_opt_the_program_is_stripped_all_the_same() {
        without("", NAMED, "not installed");
        without("echo wasm-opt version 90", NAMED, "too old");
        let version = "[ $1 = --version ] && echo wasm-opt version 108 && exit;";
        without(&format!("{version} exit 1"), NAMED, "said nothing");
        without(&format!("{version} for last; do :; done; echo junk > $last"), NAMED, "no valid module");
        let gc = "(module $m (type (struct (field i32))) (func $a_name))";
        without(&format!("{version} exit 1"), gc, "does not know");
        without(&format!("{version} exit 1"), "(component (core module $named))", "no components");
    }

    #[test]
    fn what_is_no_smaller_is_not_taken() {
        let script = "[ $1 = --version ] && echo wasm-opt version 108 && exit
            while [ $# -gt 3 ]; do shift; done; /bin/cp $1 $3";
        without(script, NAMED, "no smaller");
    }

    #[test]
    fn what_is_smaller_is_taken() {
        let script = "[ $1 = --version ] && echo wasm-opt version 108 && exit
            while [ $# -gt 3 ]; do shift; done; printf '\\0asm\\1\\0\\0\\0' > $3";
        let (folder, host) = machine(&[("wasm-opt", script)]);
        let mut heard = Heard::default();
        let done = optimise(&wat::parse_str(NAMED).unwrap(), folder.path(), &host, &mut heard).unwrap();
        assert_eq!((done.bytes.len(), done.without), (8, None));
        assert!(heard.lines[0].starts_with("wasm-opt --enable-"), "{:?}", heard.lines);
    }
}
