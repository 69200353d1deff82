//! Nim, through C.

use std::path::{Path, PathBuf};

use super::{Tools, c};
use crate::build::Project;
use crate::files::{has_ending, make_folder};
use crate::part::{Mend, Part, program};
use crate::run::{Run, quoted};
use crate::{Error, Host, Observer, Result, Version};

/// The version of Debian 12, which is tested.
const LEAST: Version = Version(1, 6, 0);
/// What WASI's C library has not of what Nim's expects: locks of files, and a `main` with three parameters.
const HEADER: &str = include_str!("../../templates/nim/wasi.h.txt");

pub(super) struct Nim;

impl Tools for Nim {
    fn parts(&self, host: &Host, _: &Path) -> Vec<Part> {
        let mut parts = vec![Part {
            name: "nim",
            wanted: format!("{LEAST} or newer"),
            state: program(host, &["nim"], &["--version"], LEAST),
            optional: None,
            mend: Mend::Packages(&["nim"]),
        }];
        parts.extend(c::c_parts(host));
        parts
    }

    fn recognises(&self, folder: &Path) -> bool {
        folder.join("src/main.nim").is_file()
            || folder.join("main.nim").is_file()
            || has_ending(folder, "nimble")
    }

    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf> {
        let source = main_file(project)?;
        let built = project.build_file("app.wasm")?;
        let header = project.build_file("wasi.h")?;
        std::fs::write(&header, HEADER).map_err(|error| Error::system("write", &header, error))?;
        let cache = project.build_file("nim")?;
        make_folder(&cache)?;
        let clang = c::clang(host).unwrap_or_else(|| "clang".into());
        let compile = format!("{} -include {}", c::COMPILE.join(" "), quoted(&header.to_string_lossy()));
        let link = format!("{} {}", c::COMPILE[..3].join(" "), c::LINK.join(" "));
        let mut run = Run::new(host, "nim").folder(&project.folder).args([
            "c",
            "--hints:off",
            "--os:linux",
            "--cpu:wasm32",
            "--cc:clang",
            "--mm:arc",
            "--threads:off",
            "--exceptions:goto",
            "--define:useMalloc",
        ]);
        run = run.arg(format!("--clang.exe:{}", clang.display()));
        run = run.arg(format!("--clang.linkerexe:{}", clang.display()));
        run = run.arg(format!("--passC:{compile}")).arg(format!("--passL:{link}"));
        run = if project.release { run.args(["--define:release", "--opt:size"]) } else { run };
        // What lies in `qyv/` is imported as `qyv/…`, wherever the program begins.
        run = run.arg("--path:.");
        run = run.arg(format!("--nimcache:{}", cache.display())).arg(format!("--out:{}", built.display()));
        run.arg(source).compile(observer)?;
        Ok(built)
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("@NAME@.qyv", include_str!("../../templates/manifest.qyv.txt")),
            ("qyv/qyv.nim", include_str!("../../../../guest/nim/qyv/qyv.nim")),
            ("src/main.nim", include_str!("../../templates/nim/main.nim.txt")),
            (".gitignore", include_str!("../../templates/gitignore.txt")),
            ("README.md", include_str!("../../templates/README.md.txt")),
        ]
    }
}

/// The file that the program begins in.
fn main_file(project: &Project) -> Result<PathBuf> {
    let names = ["src/main.nim".to_owned(), "main.nim".to_owned(), format!("src/{}.nim", project.name)];
    let found = names.into_iter().find(|name| project.folder.join(name).is_file());
    found.map(PathBuf::from).ok_or_else(|| {
        Error::sources(
            "the program has no beginning",
            format!("name it `src/main.nim` or `src/{}.nim`", project.name),
        )
    })
}
