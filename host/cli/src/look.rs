//! Looking at an app without running it: nothing is compiled, and a bundle needs nobody's signature.

use std::path::Path;

use qyv_spec::App;
use qyv_spec::bundle::{Verdict, verify};
use qyv_spec::manifest::Program;

use crate::caps::{self, Form, Scan};
use crate::failure::{Failure, Result};
use crate::target::{self, Accept, Found, Origin, bundle};

/// An app as it lies there.
pub(crate) struct Look {
    /// What it asks for; `None` for a bare module.
    pub(crate) app: Option<App>,
    /// Who vouches for it, when it is a bundle.
    pub(crate) verdict: Option<Verdict>,
    /// Its program; `None` when a language's runtime runs it.
    pub(crate) wasm: Option<Vec<u8>>,
}

impl Look {
    /// Looks at what `path` names.
    ///
    /// # Errors
    ///
    /// When there is nothing, or it does not hold together.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        if let Found::Bundle = target::find(path)? {
            return Self::at_bundle(path);
        }
        let target = target::open(path, Accept::default())?;
        let wasm = match target.app.program {
            Program::Wasm => Some(target.program.bytes()?),
            Program::Julia | Program::Lua => None,
        };
        let app = (!matches!(target.origin, Origin::Module)).then_some(target.app);
        Ok(Self { app, verdict: None, wasm })
    }

    fn at_bundle(path: &Path) -> Result<Self> {
        let bundle::Opened { bundle, app } = bundle::read(path)?;
        let verdict = verify(&bundle, app.name.as_str(), &bundle::trust_store()?);
        let index =
            bundle.modules().find(|module| module.name == app.entrypoint.as_str()).map(|module| module.index);
        let wasm = match index {
            Some(index) => Some(bundle.read_module(index).map_err(|error| {
                Failure::refused(format!("`{}` cannot be used: {error}", path.display()))
            })?),
            None => None,
        };
        Ok(Self { app: Some(app), verdict: Some(verdict), wasm })
    }
}

/// Reads the outline of a program that is called `place`, as [`program_of`] says it.
pub(crate) fn outline(place: &str, wasm: &[u8]) -> Result<Scan> {
    qyvol_engine::compile::kind_of(wasm).map_err(|error| Failure::of_program(place, error))?;
    caps::scan(wasm).map_err(|error| {
        Failure::refused(format!("{place} is damaged: {error}"))
            .hint("build it again, or fetch it again from where it came from")
    })
}

/// What the program of the app at `path` is called in messages.
pub(crate) fn program_of(path: &Path, app: Option<&App>) -> String {
    match app {
        Some(app) => format!("`{}` of `{}`", app.entrypoint, path.display()),
        None => format!("`{}`", path.display()),
    }
}

/// Why a program that the engine refused cannot run: the world that it was built for says more than what the engine
/// stumbled over.
pub(crate) fn refusal(place: &str, wasm: Option<&[u8]>, error: qyvol_engine::Error) -> Failure {
    use qyvol_engine::Error as E;
    let refused = matches!(error, E::Invalid(_) | E::NoEntry | E::MissingImports(_));
    let scan = wasm.filter(|_| refused).and_then(|wasm| caps::scan(wasm).ok());
    let verdict = scan.as_ref().map(caps::verdict);
    match verdict {
        Some(caps::Verdict { world, sign: Some(sign) }) => {
            let failure = Failure::refused(format!("{place} is built for {}: {sign}", world.name()));
            world.mend().into_iter().fold(failure, Failure::hint)
        }
        _ => Failure::of_program(place, error),
    }
}

/// What a component exports that is run by its host, or answers requests there.
const ENTRIES: [&str; 2] = ["wasi:cli/run@", "wasi:http/incoming-handler@"];

/// Why there is nothing to run in a program, if that is so.
pub(crate) fn missing_entry(scan: &Scan) -> Option<&'static str> {
    match scan.form {
        Form::Module if scan.exports.contains("_start") => None,
        Form::Module if scan.exports.contains("_initialize") => Some(
            "it is a library (it exports `_initialize` and no `_start`); build it as a program, with a `main`",
        ),
        Form::Module => Some("it exports no `_start`; build it as a program, with a `main`"),
        Form::Component
            if scan.exports.iter().any(|name| ENTRIES.iter().any(|entry| name.starts_with(entry))) =>
        {
            None
        }
        Form::Component => Some("it exports no `wasi:cli/run`; build it as a program, with a `main`"),
    }
}
