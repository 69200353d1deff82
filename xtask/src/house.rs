//! Which crate may depend on what: the table of the house, and the check that it holds.
//!
//! A new line here is a change of the architecture. Dependencies of tests alone are not looked at.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::shell::{cargo, root, text};

/// What one crate may depend on.
struct Rule {
    name: &'static str,
    folder: &'static str,
    /// Crates of this workspace.
    ours: &'static [&'static str],
    theirs: Theirs,
}

/// Crates of others.
enum Theirs {
    /// These, without their default features: nothing that needs an operating system may come in unseen. The second
    /// list may be there behind a feature.
    Core(&'static [&'static str], &'static [&'static str]),
    /// All but these.
    AllBut(&'static [&'static str]),
}

/// The engine is behind one crate's walls.
const ENGINES: &[&str] =
    &["wasmtime", "wasmtime-wasi", "wasmtime-wasi-io", "wasmtime-environ", "cranelift-codegen"];

const RULES: &[Rule] = &[
    Rule {
        name: "qyv-spec",
        folder: "core/spec",
        ours: &[],
        theirs: Theirs::Core(
            &["blake3", "ed25519-dalek", "ruzstd", "semver", "serde", "serde_json", "zeroize"],
            &["age", "miette", "schemars", "serde-saphyr", "strsim", "zstd"],
        ),
    },
    Rule { name: "qyv-vfs", folder: "core/vfs", ours: &[], theirs: Theirs::Core(&[], &[]) },
    Rule { name: "qyv-wasi", folder: "core/wasi", ours: &["qyv-vfs"], theirs: Theirs::Core(&[], &[]) },
    Rule {
        name: "qyv-svc",
        folder: "core/svc",
        ours: &["qyv-spec", "qyv-vfs"],
        theirs: Theirs::Core(&[], &[]),
    },
    Rule { name: "qyv-sched", folder: "core/sched", ours: &[], theirs: Theirs::Core(&[], &[]) },
    Rule {
        name: "qyv-supervise",
        folder: "core/supervise",
        ours: &["qyv-spec"],
        theirs: Theirs::Core(&["serde"], &[]),
    },
    Rule {
        name: "qyvol-fs",
        folder: "host/fs",
        ours: &["qyv-vfs"],
        theirs: Theirs::AllBut(&["wasmtime", "wasmtime-wasi", "serde", "tokio"]),
    },
    // The way out of apps, for every host of Linux. It knows grants, and neither manifests nor engines.
    Rule {
        name: "qyvol-net",
        folder: "host/net",
        ours: &["qyv-spec", "qyv-svc", "qyv-vfs", "qyv-wasi"],
        theirs: Theirs::AllBut(&["wasmtime", "wasmtime-wasi", "clap", "miette"]),
    },
    Rule {
        name: "qyvol-engine",
        folder: "host/engine",
        // Neither manifests nor disks: what a guest may touch is decided before.
        ours: &["qyv-vfs", "qyv-wasi", "qyvol-net"],
        theirs: Theirs::AllBut(&["clap", "miette"]),
    },
    // What an app sees under `qyvol run` and in a worker.
    Rule {
        name: "qyvol-launch",
        folder: "host/launch",
        ours: &["qyv-spec", "qyv-vfs", "qyvol-fs"],
        theirs: Theirs::AllBut(&["wasmtime", "tokio", "clap", "miette"]),
    },
    // Types that both sides of a conversation take from one place: no behaviour.
    Rule {
        name: "qyvol-protocol",
        folder: "host/protocol",
        ours: &["qyv-spec"],
        theirs: Theirs::AllBut(&["wasmtime", "wasmtime-wasi", "tokio", "clap", "miette"]),
    },
    Rule {
        name: "qyvol-logs",
        folder: "host/logs",
        ours: &[],
        theirs: Theirs::AllBut(&["wasmtime", "tokio", "clap", "miette"]),
    },
    // How programs are made from sources; how they are run, it does not know.
    Rule {
        name: "qyvol-toolchain",
        folder: "host/toolchain",
        ours: &[],
        theirs: Theirs::AllBut(&["wasmtime", "wasmtime-wasi", "tokio", "clap", "miette", "indicatif"]),
    },
    // Runs guests for the daemon, whose state it does not know.
    Rule {
        name: "qyvol-worker",
        folder: "host/worker",
        ours: &[
            "qyv-spec",
            "qyv-vfs",
            "qyv-wasi",
            "qyv-svc",
            "qyv-sched",
            "qyvol-fs",
            "qyvol-engine",
            "qyvol-launch",
            "qyvol-logs",
            "qyvol-net",
            "qyvol-protocol",
        ],
        theirs: Theirs::AllBut(ENGINES),
    },
    // It keeps what it is told to keep, and knows neither who says so nor why.
    Rule {
        name: "qyvold-store",
        folder: "host/store",
        ours: &["qyv-spec", "qyvol-protocol"],
        theirs: Theirs::AllBut(&["wasmtime", "wasmtime-wasi", "tokio", "axum", "clap"]),
    },
    // Decides and remembers; it neither runs guests nor carries their bytes, but for the files that an operator copies.
    Rule {
        name: "qyvold",
        folder: "host/daemon",
        ours: &[
            "qyv-spec",
            "qyv-supervise",
            "qyv-vfs",
            "qyvol-fs",
            "qyvol-launch",
            "qyvol-logs",
            "qyvol-protocol",
            "qyvold-store",
        ],
        theirs: Theirs::AllBut(ENGINES),
    },
    Rule {
        name: "qyvol",
        folder: "host/cli",
        ours: &[
            "qyv-spec",
            "qyv-vfs",
            "qyv-svc",
            "qyv-wasi",
            "qyvol-fs",
            "qyvol-engine",
            "qyvol-launch",
            "qyvol-net",
            "qyvol-protocol",
            "qyvol-toolchain",
            "qyvol-worker",
            "qyvold",
        ],
        theirs: Theirs::AllBut(ENGINES),
    },
    // It sees the hosts as a person does: as programs.
    Rule {
        name: "conformance",
        folder: "tests/conformance",
        ours: &["qyv-wasi"],
        theirs: Theirs::AllBut(ENGINES),
    },
    // The real host it sees as a program; the hosts that are wrong on purpose it makes of the same parts.
    Rule {
        name: "polyglot",
        folder: "tests/polyglot",
        ours: &["qyv-vfs", "qyv-wasi", "qyvol-engine"],
        theirs: Theirs::AllBut(ENGINES),
    },
    // It installs what languages need, as `qyvol toolchain install` does.
    Rule { name: "xtask", folder: "xtask", ours: &["qyvol-toolchain"], theirs: Theirs::AllBut(ENGINES) },
];

/// Checks every crate of the workspace.
pub(crate) fn check() -> Result<()> {
    let metadata = text(&mut cargo("metadata --locked --no-deps --format-version 1"))?;
    let metadata: Value = serde_json::from_str(&metadata).context("read the answer of `cargo metadata`")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong: Vec<String> = Vec::new();
    for rule in RULES.iter().filter(|rule| !names.contains(&rule.name)) {
        wrong.push(format!("`{}` has a rule and does not exist", rule.name));
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        match RULES.iter().find(|rule| rule.name == name) {
            Some(rule) => wrong.extend(violations(rule, package, &names)),
            None => wrong.push(format!("`{name}` has no rule; add one to `xtask/src/house.rs`")),
        }
    }
    ensure!(wrong.is_empty(), "{} rules of the house are broken:\n  {}", wrong.len(), wrong.join("\n  "));
    println!("{} crates depend on what they may know, and nothing else", packages.len());
    Ok(())
}

fn violations(rule: &Rule, package: &Value, names: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    for dependency in dependencies.filter(|dependency| dependency["kind"] != "dev") {
        let name = dependency["name"].as_str().unwrap_or_default();
        let allowed =
            if names.contains(&name) { rule.ours.contains(&name) } else { rule.theirs.allows(dependency) };
        if !allowed {
            wrong.push(format!("`{}` must not depend on `{name}` like this", rule.name));
        }
    }
    wrong.extend(files_violations(rule, &root().join(rule.folder)));
    wrong
}

impl Theirs {
    fn allows(&self, dependency: &Value) -> bool {
        let name = dependency["name"].as_str().unwrap_or_default();
        match self {
            Self::AllBut(refused) => !refused.contains(&name),
            Self::Core(always, _) if always.contains(&name) => {
                let features = dependency["features"].as_array().into_iter().flatten();
                dependency["uses_default_features"] == false
                    && features.into_iter().all(|feature| feature != "std")
            }
            Self::Core(_, behind_feature) => behind_feature.contains(&name) && dependency["optional"] == true,
        }
    }
}

/// What the files of a crate must say.
fn files_violations(rule: &Rule, folder: &Path) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap_or_default();
    let mut wrong = Vec::new();
    if !read("Cargo.toml").contains("[lints]\nworkspace = true") {
        wrong.push(format!("`{}` does not take the workspace's lints", rule.name));
    }
    if matches!(rule.theirs, Theirs::Core(..)) {
        let library = read("src/lib.rs");
        if !library.contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("`{}` does not forbid unsafe code", rule.name));
        }
        let no_std = |line: &str| {
            line == "#![no_std]" || line.starts_with("#![cfg_attr(not(") && line.ends_with("no_std)]")
        };
        if !library.lines().any(no_std) {
            wrong.push(format!("`{}` is not `no_std`", rule.name));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULE: Rule = Rule {
        name: "qyv-wasi",
        folder: "core/wasi",
        ours: &["qyv-vfs"],
        theirs: Theirs::Core(&["serde"], &["zstd"]),
    };

    #[track_caller]
    fn broken(dependency: &Value, expected: usize) {
        let package = json!({ "dependencies": [dependency] });
        assert_eq!(violations(&RULE, &package, &["qyv-vfs", "qyvol-fs"]).len(), expected, "{dependency}");
    }

    #[test]
    fn a_dependency_is_allowed_by_name_and_by_features() {
        let with = |name: &str, defaults: bool, features: &[&str], optional: bool| {
            json!({
                "name": name, "kind": null, "uses_default_features": defaults, "features": features,
                "optional": optional,
            })
        };
        broken(&with("qyv-vfs", true, &[], false), 0);
        broken(&with("qyvol-fs", true, &[], false), 1);
        broken(&with("serde", false, &["derive"], false), 0);
        broken(&with("serde", true, &[], false), 1);
        broken(&with("serde", false, &["std"], false), 1);
        broken(&with("zstd", true, &[], true), 0);
        broken(&with("zstd", true, &[], false), 1);
        broken(&with("libc", false, &[], false), 1);
        broken(&json!({ "name": "libc", "kind": "dev" }), 0);
    }

    #[test]
    fn a_core_crate_forbids_unsafe_code_and_std() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("Cargo.toml", "[package]\n");
        write("src/lib.rs", "//! `#![no_std]` only in words.\n");
        assert_eq!(files_violations(&RULE, folder.path()).len(), 3);
        write("Cargo.toml", "[lints]\nworkspace = true\n");
        write("src/lib.rs", "#![no_std]\n#![forbid(unsafe_code)]\n");
        assert!(files_violations(&RULE, folder.path()).is_empty());
    }
}
