//! Compiling the program of one bundle into the cache, in a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use qyv_spec::App;
use qyv_spec::app::Hash;
use qyv_spec::bundle::limits::MAX_MODULE_BYTES;
use qyv_spec::bundle::{Bundle, ChunkCache};
use qyvol_engine::{Cache, Compiler, Error, Interrupt, Program, Settings, Source};

/// Compiles the program of `--bundle FILE`, or that which is packaged as `--program PATH`, into `--cache DIR`, within
/// `--timeout SECONDS`. `arguments` are those after
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
    let (mut bundle, mut program, mut cache) = (None, None, None);
    let mut timeout = Duration::from_secs(120);
    for pair in arguments.chunks(2) {
        match pair {
            [key, value] if key == "--bundle" => bundle = Some(PathBuf::from(value)),
            [key, value] if key == "--program" => program = Some(value.as_str()),
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
    let text = |error: qyv_spec::bundle::Error| error.to_string();
    let bundle = Bundle::open(file).map_err(text)?;
    let app = bundle.app().map_err(text)?;
    let source = |error: qyv_spec::bundle::Error| Error::Source(error.to_string());
    let (hash, bytes): (_, Box<dyn Fn() -> qyvol_engine::Result<Vec<u8>>>) = match program {
        Some(program) => {
            let bytes = packaged(&bundle, &app, program)?;
            (Hash::of(&bytes).0, Box::new(move || Ok(bytes.clone())))
        }
        None => {
            let module = bundle.entrypoint_module(&app).map_err(text)?;
            let hash = bundle.modules().nth(module).map(|module| module.hash).unwrap_or_default();
            (hash, Box::new(move || bundle.read_module(module).map_err(source)))
        }
    };
    let mut compiler = Compiler::this_program(compile_argument).map_err(|error| error.to_string())?;
    compiler.timeout = timeout;
    let load = || {
        let cache = Cache::open(cache)?;
        let interrupt = Interrupt::new().map_err(|error| Error::Source(error.to_string()))?;
        let source = Source { hash, bytes: &*bytes };
        Program::load(&source, &Settings::default(), &cache, &compiler, &interrupt, &mut ())
    };
    load().map(|_| ()).map_err(|error| error.to_string())
}

/// Reads a packaged program, which must be what the app says that it is: by that its native code is found.
fn packaged(bundle: &Bundle<File>, app: &App, path: &str) -> Result<Vec<u8>, String> {
    let text = |error: qyv_spec::bundle::Error| error.to_string();
    let (Some(index), Some(said)) =
        (bundle.find(path), app.files.iter().find(|file| file.path.as_str() == path))
    else {
        return Err(format!("the bundle has no `{path}`"));
    };
    if said.size > MAX_MODULE_BYTES {
        return Err(format!("`{path}` is larger than {MAX_MODULE_BYTES} bytes"));
    }
    let mut bytes = vec![0; usize::try_from(said.size).map_err(|error| error.to_string())?];
    let read = bundle.read_at(index, 0, &mut bytes, &mut ChunkCache::new(1)).map_err(text)?;
    if read < bytes.len() || Hash::of(&bytes) != said.blake3 {
        return Err(format!("`{path}` is not the file that the app names"));
    }
    Ok(bytes)
}
