//! C and C++, by Clang with the C library of WASI.

use std::path::{Path, PathBuf};

use super::Tools;
use crate::build::Project;
use crate::files::with_endings;
use crate::part::{Mend, Part, State, file, program};
use crate::run::{Run, ask};
use crate::{Error, Host, Observer, Result, Version};

/// The version that is installed and tested.
const PINNED: u32 = 22;
/// The first version that knows today's features of WebAssembly.
const LEAST: Version = Version(16, 0, 0);
/// Clang by the names that Debian gives it, the pinned one first.
const CLANG: [&str; 8] =
    ["clang-22", "clang", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16"];
/// Where Debian's package puts the C library.
const LIBRARY: &str = "/usr/lib/wasm32-wasi";
const C_ENDINGS: [&str; 1] = ["c"];
const CPP_ENDINGS: [&str; 3] = ["cpp", "cc", "cxx"];
/// What programs for WASI are compiled with. Clang calls the target by a newer name, Debian's libraries lie under the older.
/// What WASI has not and the C library emulates has to be asked for. A `wasm-opt` that happens to be installed, and may not
/// know what Clang makes, is left out.
pub(super) const COMPILE: [&str; 7] = [
    "--target=wasm32-wasi",
    "-Wno-deprecated",
    "--no-wasm-opt",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_MMAN",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_GETPID",
];
/// What they are linked with. The stack lies first in memory, so that one that overflows ends in a trap and not in the
/// program's data.
pub(super) const LINK: [&str; 6] = [
    "-Wl,--stack-first",
    "-Wl,-z,stack-size=1048576",
    "-lwasi-emulated-signal",
    "-lwasi-emulated-mman",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-getpid",
];
/// The C++ runtime's part that throws and catches.
const EXCEPTIONS: &str = include_str!("../../../../guest/c/cpp/exceptions.cpp");
/// Exceptions as the standard has them.
const EXCEPTION_FLAGS: [&str; 4] =
    ["-fwasm-exceptions", "-mllvm", "-wasm-use-legacy-eh=false", "-Wl,--wrap=__main_void"];
/// Folders of sources, and of headers.
const FOLDERS: [&str; 2] = ["src", "qyv"];

/// What both C and Nim need: a compiler, a linker, and a C library.
pub(super) fn c_parts(host: &Host) -> Vec<Part> {
    let clang = program(host, &CLANG, &["--version"], LEAST);
    let builtins = match &clang {
        State::Found { path, .. } => builtins(host, path),
        _ => State::Absent,
    };
    let part = |name, wanted: String, state, packages| Part {
        name,
        wanted,
        state,
        optional: None,
        mend: Mend::Packages(packages),
    };
    vec![
        part("clang", format!("{PINNED}, or {} and newer", LEAST.0), clang, &["clang-22"]),
        part("wasm-ld", String::new(), linker(host), &["lld-22"]),
        part("compiler-rt for wasm32", String::new(), builtins, &["libclang-rt-22-dev-wasm32"]),
        part("wasi-libc", String::new(), file(PathBuf::from(LIBRARY).join("crt1-command.o")), &["wasi-libc"]),
    ]
}

fn linker(host: &Host) -> State {
    let names: Vec<String> = (LEAST.0..=PINNED).rev().map(|version| format!("wasm-ld-{version}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["wasm-ld"]).collect();
    program(host, &names, &["--version"], LEAST)
}

/// What the compiler calls where WebAssembly has no instruction.
fn builtins(host: &Host, clang: &Path) -> State {
    let asked = ask(host, clang, &["--target=wasm32-wasi", "-Wno-deprecated", "-print-libgcc-file-name"]);
    asked.map_or(State::Absent, |said| file(PathBuf::from(said.trim())))
}

/// The compiler that was found.
pub(super) fn clang(host: &Host) -> Option<PathBuf> {
    match program(host, &CLANG, &["--version"], LEAST) {
        State::Found { path, .. } => Some(path),
        _ => None,
    }
}

pub(super) struct C;

impl Tools for C {
    fn parts(&self, host: &Host, _: &Path) -> Vec<Part> {
        let mut parts = c_parts(host);
        parts.push(Part {
            name: "libc++",
            wanted: String::new(),
            state: file(PathBuf::from("/usr/lib/llvm-22/lib/wasm32-wasi/libc++.a")),
            optional: Some("C++"),
            mend: Mend::Packages(&["libc++-22-dev-wasm32", "libc++abi-22-dev-wasm32"]),
        });
        parts
    }

    fn recognises(&self, folder: &Path) -> bool {
        let endings = C_ENDINGS.iter().chain(&CPP_ENDINGS);
        endings
            .flat_map(|ending| [format!("src/main.{ending}"), format!("main.{ending}")])
            .any(|name| folder.join(name).is_file())
    }

    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf> {
        let (c, cpp) = (sources(project, &C_ENDINGS)?, sources(project, &CPP_ENDINGS)?);
        let built = project.build_file("app.wasm")?;
        let clang = clang(host).unwrap_or_else(|| "clang".into());
        if cpp.is_empty() {
            common(Run::new(host, &clang), project)
                .args(&c)
                .args(LINK)
                .arg("-o")
                .arg(&built)
                .compile(observer)?;
            return Ok(built);
        }
        // As C++, C has other rules: each is compiled by its own compiler.
        let mut objects = Vec::new();
        for (number, source) in c.iter().enumerate() {
            let object = project.build_file(&format!("{number}.o"))?;
            common(Run::new(host, &clang), project)
                .arg("-c")
                .arg(source)
                .arg("-o")
                .arg(&object)
                .compile(observer)?;
            objects.push(object);
        }
        // What throws and catches, which Debian's C++ library for WebAssembly was built without.
        let exceptions = project.build_file("exceptions.cpp")?;
        std::fs::write(&exceptions, EXCEPTIONS)
            .map_err(|error| Error::system("write", &exceptions, error))?;
        let plus = plus_plus(&clang);
        let run = common(Run::new(host, &plus), project).args(EXCEPTION_FLAGS).arg(&exceptions);
        run.args(&cpp).args(&objects).args(LINK).arg("-o").arg(&built).compile(observer)?;
        Ok(built)
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("@NAME@.qyv", include_str!("../../templates/manifest.qyv.txt")),
            ("qyv/qyv.c", include_str!("../../../../guest/c/qyv/qyv.c")),
            ("qyv/qyv.h", include_str!("../../../../guest/c/qyv/qyv.h")),
            ("src/main.c", include_str!("../../templates/c/main.c.txt")),
            ("compile_flags.txt", include_str!("../../templates/c/compile_flags.txt")),
            (".gitignore", include_str!("../../templates/gitignore.txt")),
            ("README.md", include_str!("../../templates/README.md.txt")),
        ]
    }
}

/// The sources of a project, as its folder calls them: those of `src` and `qyv`, or without `src` those beside the manifest.
fn sources(project: &Project, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let folder = &project.folder;
    let mut found = Vec::new();
    for name in FOLDERS {
        found.extend(with_endings(&folder.join(name), endings)?);
    }
    if !folder.join("src").is_dir() {
        let entries = std::fs::read_dir(folder).map_err(|error| Error::system("list", folder, error))?;
        let fits = |path: &PathBuf| {
            path.extension()
                .and_then(|ending| ending.to_str())
                .is_some_and(|ending| endings.contains(&ending))
        };
        found.extend(entries.flatten().map(|entry| entry.path()).filter(fits));
        found.sort();
    }
    Ok(found.into_iter().map(|path| path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path)).collect())
}

/// `clang++` beside `clang`.
fn plus_plus(clang: &Path) -> PathBuf {
    let name = clang.file_name().unwrap_or_default().to_string_lossy().replacen("clang", "clang++", 1);
    clang.with_file_name(name)
}

/// What every call of the compiler has.
fn common(run: Run, project: &Project) -> Run {
    let mut run = run.folder(&project.folder).args(COMPILE).args(if project.release {
        &["-O2"][..]
    } else {
        &["-O1", "-g"]
    });
    for name in FOLDERS.iter().filter(|name| project.folder.join(name).is_dir()) {
        run = run.arg(format!("-I{name}"));
    }
    // The project's own flags, in the file that editors read them from.
    if project.folder.join("compile_flags.txt").is_file() {
        run = run.arg("@compile_flags.txt");
    }
    if project.colours { run.arg("-fcolor-diagnostics") } else { run }
}
