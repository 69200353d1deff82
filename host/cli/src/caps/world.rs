//! For which system a program was built, when it is not one that runs here.

use super::scan::{Form, Scan};

/// The module whose functions run here.
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";

/// A system that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// WASI preview 1: runs here.
    Preview1,
    /// WASI 0.2: runs here.
    Preview2,
    /// WASI 0.3, or tasks and streams of the component model.
    Preview3,
    /// WASI as it was before preview 1.
    Preview0,
    /// WASI preview 1 with threads.
    Threads,
    /// WASIX.
    Wasix,
    /// A browser, through wasm-bindgen.
    WasmBindgen,
    /// A browser, through JavaScript of the language's own.
    JavaScript,
    /// JavaScript around a module of WasmTarget.jl.
    WasmTarget,
    /// Emscripten's JavaScript.
    Emscripten,
    /// Go's JavaScript.
    GoJs,
    /// AssemblyScript's own host.
    AssemblyScript,
    /// Proxy-Wasm, for network proxies.
    Proxy,
    /// A plug-in of Extism.
    Extism,
    /// Exceptions as they were before the standard.
    LegacyExceptions,
    /// The same in a program of a collected language, which for WASI is Kotlin.
    OldKotlin,
}

/// What a program was built for, and whether that runs here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) world: World,
    /// What shows it, when it does not run here.
    pub(crate) sign: Option<String>,
}

impl World {
    /// The word in `--json`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Preview1 => "wasi-p1",
            Self::Preview2 => "wasi-p2",
            Self::Preview3 => "wasi-p3",
            Self::Preview0 => "wasi-unstable",
            Self::Threads => "wasi-threads",
            Self::Wasix => "wasix",
            Self::WasmBindgen => "wasm-bindgen",
            Self::JavaScript => "javascript",
            Self::WasmTarget => "wasmtarget-jl",
            Self::Emscripten => "emscripten",
            Self::GoJs => "go-js",
            Self::AssemblyScript => "assemblyscript",
            Self::Proxy => "proxy-wasm",
            Self::Extism => "extism",
            Self::LegacyExceptions => "legacy-exceptions",
            Self::OldKotlin => "kotlin-before-2.3",
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Preview1 => "WASI preview 1",
            Self::Preview2 => "WASI 0.2",
            Self::Preview3 => "WASI 0.3",
            Self::Preview0 => "WASI before preview 1 (`wasi_unstable`)",
            Self::Threads => "WASI with threads",
            Self::Wasix => "WASIX",
            Self::WasmBindgen => "a browser, through wasm-bindgen",
            Self::JavaScript => "a browser or Node",
            Self::WasmTarget => "a browser or Node, by WasmTarget.jl",
            Self::Emscripten => "a browser, through Emscripten",
            Self::GoJs => "a browser, through Go's `js/wasm`",
            Self::AssemblyScript => "AssemblyScript's own host",
            Self::Proxy => "a network proxy (Proxy-Wasm)",
            Self::Extism => "a host of Extism plug-ins",
            Self::LegacyExceptions => "engines with the exceptions from before the standard",
            Self::OldKotlin => "engines with the exceptions from before the standard (Kotlin before 2.3)",
        }
    }

    /// How to build it so that it runs here; `None` for what does.
    pub(crate) fn mend(self) -> Option<&'static str> {
        Some(match self {
            Self::Preview1 | Self::Preview2 => return None,
            Self::Preview3 => "build it for WASI 0.2 (for Rust, the target `wasm32-wasip2`)",
            Self::Preview0 => "build it with a compiler of 2020 or later, for `wasm32-wasip1`",
            Self::Threads => "build it without threads (`wasm32-wasip1` in place of `wasm32-wasip1-threads`)",
            Self::Wasix => "build it for plain WASI (`wasm32-wasip1`)",
            Self::WasmBindgen => "build it as a program for `wasm32-wasip1`, without `wasm-bindgen`",
            Self::JavaScript => "build it for WASI; for Kotlin, the target `wasmWasi` in place of `wasmJs`",
            Self::WasmTarget => "link it with `guest/julia/wasmtarget`; see `docs/languages/julia.md`",
            Self::Emscripten => "build it with wasi-sdk, or with Emscripten's `-sSTANDALONE_WASM`",
            Self::GoJs => "build it with `GOOS=wasip1 GOARCH=wasm`",
            Self::AssemblyScript => {
                "build it with `--config node_modules/@assemblyscript/wasi-shim/asconfig.json`"
            }
            Self::Proxy | Self::Extism => "run it in the host that it is a plug-in of",
            Self::LegacyExceptions => {
                "build it with the standard exceptions: `-mllvm -wasm-use-legacy-eh=false` for Clang, \
                 `-sWASM_LEGACY_EXCEPTIONS=0` for Emscripten"
            }
            Self::OldKotlin => {
                "build it with Kotlin 2.3 or newer, which throws by the standard; `qyvol build` has one that does"
            }
        })
    }
}

/// Tells what a program was built for.
pub(crate) fn verdict(scan: &Scan) -> Verdict {
    let stranger = match scan.form {
        Form::Module => module_stranger(scan),
        Form::Component => component_stranger(scan),
    };
    match (stranger, scan.form) {
        (Some((world, sign)), _) => Verdict { world, sign: Some(sign) },
        (None, Form::Module) => Verdict { world: World::Preview1, sign: None },
        (None, Form::Component) => Verdict { world: World::Preview2, sign: None },
    }
}

fn module_stranger(scan: &Scan) -> Option<(World, String)> {
    // The most telling sign first: a module for Emscripten may have threads, but to leave them out would not help.
    imported(scan).or_else(|| {
        if scan.legacy_exceptions {
            let world = if scan.collected { World::OldKotlin } else { World::LegacyExceptions };
            Some((world, "the instructions `try` and `catch`".to_owned()))
        } else if scan.threads {
            Some((World::Threads, "a memory or instructions for several threads".to_owned()))
        } else {
            None
        }
    })
}

fn imported(scan: &Scan) -> Option<(World, String)> {
    // Before the others: its strings are imports that any language with strings of JavaScript has.
    if scan.imports.iter().any(|(module, name)| module == "io" && name == "write_nothing") {
        return Some((World::WasmTarget, "the import `io::write_nothing`".to_owned()));
    }
    let named = scan.imports.iter().find_map(|(module, name)| {
        let world = world_of(module, name)?;
        Some((world, format!("the import `{module}::{name}`")))
    });
    named.or_else(|| {
        // Emscripten shortens the names of modules that it optimises: everything comes from `a`.
        let mut modules = scan.imports.iter().map(|(module, _)| module.as_str());
        let minified = modules.next() == Some("a") && modules.all(|module| module == "a");
        minified
            .then(|| (World::Emscripten, "every import is from `a`, as Emscripten shortens it".to_owned()))
    })
}

fn world_of(module: &str, name: &str) -> Option<World> {
    Some(match module {
        "wbg" | "__wbindgen_placeholder__" | "__wbindgen_externref_xform__" => World::WasmBindgen,
        _ if module.starts_with("./") && name.starts_with("__wb") => World::WasmBindgen,
        "wasi" if name == "thread-spawn" => World::Threads,
        "wasi_unstable" => World::Preview0,
        _ if module.starts_with("wasix_") => World::Wasix,
        "go" | "gojs" => World::GoJs,
        "js_code" | "dart2wasm" | "teavm" => World::JavaScript,
        _ if module.starts_with("wasm:js-string") => World::JavaScript,
        _ if module.starts_with("extism:") => World::Extism,
        "env" => match name {
            "abort" => World::AssemblyScript,
            _ if name.starts_with("proxy_") => World::Proxy,
            _ if ["emscripten_", "_emscripten_", "__syscall_", "invoke_", "__cxa_throw"]
                .iter()
                .any(|prefix| name.starts_with(prefix)) =>
            {
                World::Emscripten
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn component_stranger(scan: &Scan) -> Option<(World, String)> {
    let names = scan.imports.iter().map(|(interface, _)| interface).chain(&scan.exports);
    let third = names
        .into_iter()
        .find(|name| {
            name.starts_with("wasi:")
                && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
        })
        .map(|name| (World::Preview3, format!("`{name}`")));
    third.or_else(|| {
        if scan.asynchronous {
            Some((World::Preview3, "tasks, streams or futures of the component model".to_owned()))
        } else if scan.legacy_exceptions {
            Some((World::LegacyExceptions, "the instructions `try` and `catch`".to_owned()))
        } else if scan.threads {
            Some((World::Threads, "a memory or instructions for several threads".to_owned()))
        } else {
            None
        }
    })
}
