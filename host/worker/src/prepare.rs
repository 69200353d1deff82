//! Compiling the program of one bundle into the cache, in a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use qyv_spec::bundle::Bundle;
use qyvol_engine::{Cache, Compiler, Error, Interrupt, Program, Settings, Source};

/// Compiles the program of `--bundle FILE` into `--cache DIR`, within `--timeout SECONDS`. `arguments` are those after
/// [`PREPARE_ARGUMENT`](qyvol_protocol::worker::PREPARE_ARGUMENT); `compile_argument` is what makes this program the
/// compiler's child.
#[must_use]
pub fn prepare(arguments: &[String], compile_argument: &str) -> ExitCode {
    match run(arguments, compile_argument) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(126)
        }
    }
}

fn run(arguments: &[String], compile_argument: &str) -> Result<(), String> {
    let (mut bundle, mut cache, mut timeout) = (None, None, Duration::from_secs(120));
    for pair in arguments.chunks(2) {
        match pair {
            [key, value] if key == "--bundle" => bundle = Some(PathBuf::from(value)),
            [key, value] if key == "--cache" => cache = Some(PathBuf::from(value)),
            [key, value] if key == "--timeout" => {
                let seconds = value.parse().map_err(|_| format!("`{value}` is no number of seconds"))?;
                timeout = Duration::from_secs(seconds);
            }
            _ => return Err(format!("`{}` is not known", pair.concat())),
        }
    }
    let (Some(bundle), Some(cache)) = (bundle, cache) else {
        return Err("`--bundle` and `--cache` are needed".into());
    };
    let file = File::open(&bundle).map_err(|error| format!("cannot open `{}`: {error}", bundle.display()))?;
    let opened = || {
        let bundle = Bundle::open(file)?;
        let app = bundle.app()?;
        let module = bundle.entrypoint_module(&app)?;
        let hash = bundle.modules().nth(module).map(|module| module.hash).unwrap_or_default();
        Ok((bundle, module, hash))
    };
    let (bundle, module, hash) = opened().map_err(|error: qyv_spec::bundle::Error| error.to_string())?;
    let bytes = || bundle.read_module(module).map_err(|error| Error::Source(error.to_string()));
    let mut compiler = Compiler::this_program(compile_argument).map_err(|error| error.to_string())?;
    compiler.timeout = timeout;
    let load = || {
        let cache = Cache::open(cache)?;
        let interrupt = Interrupt::new().map_err(|error| Error::Source(error.to_string()))?;
        let source = Source { hash, bytes: &bytes };
        Program::load(&source, &Settings::default(), &cache, &compiler, &interrupt, &mut ())
    };
    load().map(|_| ()).map_err(|error| error.to_string())
}
