//! Rust, by cargo and rustup.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::Tools;
use crate::build::Project;
use crate::part::{Mend, Part, State, program};
use crate::run::Run;
use crate::{Error, Host, Language, Observer, Result, Version};

/// The first version that calls the targets by their names of today.
const LEAST: Version = Version(1, 82, 0);
const MODULE: &str = "wasm32-wasip1";
const COMPONENT: &str = "wasm32-wasip2";

pub(super) struct Rust;

impl Tools for Rust {
    fn parts(&self, host: &Host, folder: &Path) -> Vec<Part> {
        let by_hand = Mend::ByHand("install Rust: https://rustup.rs");
        let cargo = Part {
            name: "cargo",
            wanted: format!("{LEAST} or newer"),
            state: program(host, &["cargo"], &["--version"], LEAST),
            optional: None,
            mend: if host.find("rustup").is_some() { Mend::Command(&["rustup", "update"]) } else { by_hand },
        };
        let target = |name, optional, mend| Part {
            name,
            wanted: String::new(),
            state: target(host, folder, name),
            optional,
            mend: Mend::Command(mend),
        };
        vec![
            cargo,
            target(MODULE, None, &["rustup", "target", "add", MODULE]),
            target(COMPONENT, Some("components, such as HTTP apps"), &["rustup", "target", "add", COMPONENT]),
        ]
    }

    fn recognises(&self, folder: &Path) -> bool {
        folder.join("Cargo.toml").is_file()
    }

    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf> {
        if project.component {
            let mut parts = self.parts(host, &project.folder);
            parts.retain(|part| part.name == COMPONENT && !part.is_found());
            if !parts.is_empty() {
                return Err(Error::Missing { language: Language::Rust, parts });
            }
        }
        let target = if project.component { COMPONENT } else { MODULE };
        // Cargo shows its own progress and the compiler's messages; what it made, it tells in JSON.
        let said = Run::new(host, "cargo")
            .args(["build", "--release", "--target", target, "--message-format=json-render-diagnostics"])
            .folder(&project.folder)
            .output_of(observer)?;
        let programs: Vec<PathBuf> = said.lines().filter_map(made).collect();
        match programs.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Error::sources("cargo built no program", "the package needs a `src/main.rs`")),
            several => {
                let names: Vec<_> = several.iter().map(|path| format!("`{}`", path.display())).collect();
                Err(Error::sources(
                    format!("cargo built several programs: {}", names.join(", ")),
                    "an app is one program: move the others to packages of their own",
                ))
            }
        }
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("@NAME@.qyv", include_str!("../../templates/manifest.qyv.txt")),
            ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.txt")),
            ("src/main.rs", include_str!("../../templates/rust/main.rs.txt")),
            (".gitignore", include_str!("../../templates/rust/gitignore.txt")),
            ("README.md", include_str!("../../templates/README.md.txt")),
        ]
    }
}

/// Whether the standard library for a target is there, for the toolchain that is used in `folder`.
fn target(host: &Host, folder: &Path, target: &str) -> State {
    let Some(rustc) = host.find("rustc") else { return State::Absent };
    let asked = std::process::Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(folder)
        .env("PATH", host.path())
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => {
            crate::part::file(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        }
        _ => State::Absent,
    }
}

/// The program that a line of cargo's report names.
fn made(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let kinds = message["target"]["kind"].as_array()?;
    let names = message["filenames"].as_array()?;
    let wasm = names.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm"));
    // A component that answers requests has no `main`: it is a library that cargo links like a program.
    wasm.filter(|_| kinds.iter().any(|kind| kind == "bin" || kind == "cdylib")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Heard, machine};

    #[test]
    fn only_programs_count() {
        let line = |kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"]}},"filenames":["{file}"]}}"#
            )
        };
        for kind in ["bin", "cdylib"] {
            assert_eq!(made(&line(kind, "/t/a.wasm")), Some(PathBuf::from("/t/a.wasm")));
        }
        for other in [line("lib", "/t/a.wasm"), line("bin", "/t/a"), "{}".to_owned(), "Compiling".to_owned()]
        {
            assert_eq!(made(&other), None, "{other}");
        }
    }

    #[test]
    fn a_target_that_rustc_names_and_has_not_is_missing() {
        let programs = [
            ("cargo", "echo cargo 1.95.0"),
            ("rustc", "case $4 in wasm32-wasip1) echo /;; *) echo /absent/lib;; esac"),
            ("rustup", "exit 0"),
        ];
        let (folder, host) = machine(&programs);
        assert_eq!(crate::missing(Language::Rust, &host, folder.path()), []);
        let project = Project {
            folder: folder.path().to_owned(),
            name: "a".to_owned(),
            release: false,
            component: true,
            colours: false,
        };
        let mut heard = Heard::default();
        let Err(Error::Missing { parts, .. }) = Rust.build(&project, &host, &mut heard) else { panic!() };
        assert_eq!(parts[0].mend_line(&host), "rustup target add wasm32-wasip2");
        assert!(heard.lines.is_empty());
    }

    #[test]
    fn an_old_cargo_is_named() {
        let (folder, host) =
            machine(&[("cargo", "echo cargo 1.70.0"), ("rustc", "echo /"), ("rustup", "exit 0")]);
        let parts = crate::missing(Language::Rust, &host, folder.path());
        assert!(parts[0].trouble().unwrap().ends_with("cargo` is version 1.70; 1.82 or newer is needed"));
        assert_eq!(parts[0].mend_line(&host), "rustup update");
    }
}
