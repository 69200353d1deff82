//! Targets and components of the Rust toolchain; Debian's Rust for guests where rustup has none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::{Missing, debian};
use crate::shell::{cargo, program, run, text, which};

/// A target, and what is left out without it.
const TARGETS: [(&str, &str); 7] = [
    (GUEST_TARGET, "no guest can be built, not even the demo"),
    ("wasm32-wasip2", "no component can be built, so `tests` fails"),
    ("wasm32-unknown-unknown", "the core is not built for WebAssembly, so `core` fails"),
    ("x86_64-unknown-none", "the core is not built for bare metal, so `core` fails"),
    ("aarch64-unknown-linux-gnu", "nothing is cross-built for aarch64"),
    ("x86_64-pc-windows-gnu", "nothing is type-checked for Windows"),
    ("aarch64-apple-darwin", "nothing is type-checked for macOS"),
];
const COMPONENTS: [(&str, &str, &str); 2] = [
    ("rustfmt", "rustfmt", "the step `format` fails"),
    ("clippy", "clippy-driver", "the step `clippy` fails"),
];

/// What apps and most guests are built for.
const GUEST_TARGET: &str = "wasm32-wasip1";

/// Debian's Rust, which can compile its own standard library; and what that needs to link for WASI.
const FALLBACK_PACKAGES: &str = "rustc-web cargo-web rust-web-src wasi-libc lld";
const FALLBACK_CARGO: &str = "/usr/bin/cargo";
const FALLBACK_LIBRARY: &str = "/usr/lib/wasm32-wasi";

/// How preview-1 modules are built here.
pub(crate) enum Guest {
    /// By the toolchain that rustup manages, which has the target.
    Rustup,
    /// By Debian's Rust, which compiles the standard library too, with this linker.
    Debian(PathBuf),
}

/// Adds the targets and components that are missing.
pub(super) fn install() -> Vec<Missing> {
    let mut missing = Vec::new();
    for (target, consequence) in TARGETS {
        if has_target(target) {
            continue;
        }
        println!("setup: adding the target `{target}`");
        if let Err(error) = add_target(target) {
            println!("setup: {error:#}");
            if target == GUEST_TARGET && fall_back() {
                continue;
            }
            missing.push(Missing { what: format!("the target `{target}` is missing"), consequence });
        }
    }
    for (component, binary, consequence) in COMPONENTS {
        if which(binary).is_some() && text(&mut program(binary, "--version")).is_ok() {
            continue;
        }
        println!("setup: adding the component `{component}`");
        if let Err(error) = run(&mut program("rustup", &format!("component add {component}"))) {
            missing.push(Missing { what: format!("`{component}` is missing ({error:#})"), consequence });
        }
    }
    missing
}

/// Adds a target by rustup. That it says so is not enough: it goes by its own list, not by what lies in the folder.
fn add_target(target: &str) -> Result<()> {
    run(&mut program("rustup", &format!("target add {target}")))?;
    ensure!(
        has_target(target),
        "rustup has `{target}` on its list and not in its folder; `rustup target remove {target}` mends the list"
    );
    Ok(())
}

/// How preview-1 modules can be built.
///
/// # Errors
///
/// When there is no way.
pub(crate) fn guest_toolchain() -> Result<Guest> {
    if has_target(GUEST_TARGET) {
        return Ok(Guest::Rustup);
    }
    match debian_linker() {
        Some(linker) if Path::new(FALLBACK_CARGO).is_file() => Ok(Guest::Debian(linker)),
        _ => bail!("the target `{GUEST_TARGET}` is missing; run `cargo xtask setup`"),
    }
}

impl Guest {
    /// `cargo build --release` for preview 1 in `folder`, into `target`.
    pub(crate) fn build(&self, folder: &Path, target: &Path) -> Command {
        let mut command = match self {
            Self::Rustup => cargo("build"),
            Self::Debian(linker) => debian_cargo(linker),
        };
        command.current_dir(folder).args(["--release", "--locked", "--quiet", "--target", GUEST_TARGET]);
        command.arg("--target-dir").arg(target);
        command
    }
}

/// Debian's compiler builds the standard library from its sources, which stable cargo only does when told so twice.
fn debian_cargo(linker: &Path) -> Command {
    let mut command = program(FALLBACK_CARGO, "build -Zbuild-std=std,panic_abort");
    let flags = format!(
        "-Clink-self-contained=no -Lnative={FALLBACK_LIBRARY} -Clink-arg={FALLBACK_LIBRARY}/crt1-command.o"
    );
    command
        .env("PATH", format!("/usr/bin:{}", std::env::var("PATH").unwrap_or_default()))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags)
        // Of the toolchain that runs this program.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("LD_LIBRARY_PATH");
    command
}

fn fall_back() -> bool {
    println!(
        "setup: falling back on Debian's Rust, which builds the standard library for `{GUEST_TARGET}` itself"
    );
    if let Err(error) = debian::install_packages(FALLBACK_PACKAGES) {
        println!(
            "setup: {error:#}; Debian 12 and later have these packages, with `main` of its security updates"
        );
    }
    guest_toolchain().is_ok()
}

/// The newest `wasm-ld` of Debian, whose name ends in a version.
fn debian_linker() -> Option<PathBuf> {
    let versioned = (14..40).rev().map(|version| format!("wasm-ld-{version}"));
    std::iter::once("wasm-ld".to_owned()).chain(versioned).find_map(|name| which(&name))
}

fn has_target(target: &str) -> bool {
    let folder = text(&mut program("rustc", &format!("--print target-libdir --target {target}")));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}
