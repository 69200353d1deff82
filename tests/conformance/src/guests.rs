//! The guest programs: built, assembled and looked into.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};

use crate::backend::{cargo_build, target_folder, tests_folder};

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `wasm32-wasip1`: a core module over preview 1.
    Preview1,
    /// `wasm32-wasip2`: a component over preview 2.
    Preview2,
    /// A text file in `tests/guests/wat`, assembled as it is.
    Text,
}

impl Target {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preview1 => "p1",
            Self::Preview2 => "p2",
            Self::Text => "wat",
        }
    }
}

/// The guest programs, ready to run.
#[derive(Clone, Debug)]
pub struct Guests {
    target: PathBuf,
}

impl Guests {
    /// Builds and assembles all of them.
    ///
    /// # Errors
    ///
    /// When one does not compile, assemble or validate.
    pub fn build() -> Result<Self> {
        let (folder, target) = (tests_folder().join("guests"), target_folder().join("guests"));
        cargo_build(&folder, &target, &["--target", "wasm32-wasip1"])?;
        cargo_build(&folder, &target, &["--target", "wasm32-wasip2", "--package", "guests-std"])?;
        let guests = Self { target };
        fs::create_dir_all(guests.target.join("wat"))?;
        for name in stems(&folder.join("wat"), "wat")? {
            let source = folder.join("wat").join(&name).with_extension("wat");
            let bytes = wat::parse_file(&source)?;
            Validator::new_with_features(WasmFeatures::all())
                .validate_all(&bytes)
                .with_context(|| format!("validate `{}`", source.display()))?;
            fs::write(guests.path(&name, Target::Text), bytes)?;
        }
        Ok(guests)
    }

    /// The file of a program.
    #[must_use]
    pub fn path(&self, name: &str, target: Target) -> PathBuf {
        let folder = match target {
            Target::Preview1 => "wasm32-wasip1/release",
            Target::Preview2 => "wasm32-wasip2/release",
            Target::Text => "wat",
        };
        self.target.join(folder).join(name).with_extension("wasm")
    }

    /// The names of all programs, from their sources.
    ///
    /// # Errors
    ///
    /// When a folder of sources cannot be read.
    pub fn names() -> Result<BTreeSet<String>> {
        let folder = tests_folder().join("guests");
        let mut names = stems(&folder.join("p1/src/bin"), "rs")?;
        names.extend(stems(&folder.join("std/src/bin"), "rs")?);
        names.extend(stems(&folder.join("wat"), "wat")?);
        Ok(names)
    }

    /// The preview-1 functions that the programs named `p1_*` import, all together.
    ///
    /// # Errors
    ///
    /// When a program cannot be read.
    pub fn preview1_imports(&self) -> Result<BTreeSet<String>> {
        let mut functions = BTreeSet::new();
        for name in Self::names()?.iter().filter(|name| name.starts_with("p1_")) {
            let bytes = fs::read(self.path(name, Target::Preview1))?;
            functions.extend(imports_of(&bytes).with_context(|| format!("parse `{name}`"))?);
        }
        Ok(functions)
    }
}

/// Every function of preview 1, from the core's own list.
#[must_use]
pub fn preview1_functions() -> BTreeSet<String> {
    macro_rules! names {
        ($($how:ident $name:ident($($arg:ident: $kind:ident),* $(,)?);)*) => { [$(stringify!($name)),*] };
    }
    let mut names: BTreeSet<String> = qyv_wasi::preview1!(names).into_iter().map(str::to_owned).collect();
    // The one that an engine makes itself.
    names.insert("proc_exit".to_owned());
    names
}

fn imports_of(module: &[u8]) -> Result<Vec<String>> {
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload? else { continue };
        for import in section.into_imports() {
            let import = import?;
            if import.module == "wasi_snapshot_preview1" && matches!(import.ty, TypeRef::Func(_)) {
                functions.push(import.name.to_owned());
            }
        }
    }
    Ok(functions)
}

/// The names without ending of the files in `folder` with this ending.
fn stems(folder: &Path, extension: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    Ok(names)
}
