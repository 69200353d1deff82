//! Programs of other workspaces, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A core module over preview 1.
    Preview1,
    /// A component over preview 2.
    Preview2,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Preview1 => "wasm32-wasip1",
            Self::Preview2 => "wasm32-wasip2",
        }
    }
}

/// The programs that use the SDK alone, and so are for both targets.
const SVC: [&str; 7] = [
    "svc_dial",
    "svc_echo_client",
    "svc_echo_server",
    "svc_hold",
    "svc_poll_mix",
    "svc_stream_client",
    "svc_system",
];

static GUESTS: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = target("guests");
    for built_for in [Target::Preview1, Target::Preview2] {
        let mut options = vec!["--package=guests-svc"];
        options.extend(SVC.iter().flat_map(|name| ["--bin", name]));
        build("tests/guests", &target, built_for, &options);
    }
    target
});

static LOGGER: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = target("logger");
    build("examples/logger", &target, Target::Preview1, &[]);
    target
});

/// One of the programs in `tests/guests/svc`.
pub(crate) fn svc(name: &str, target: Target) -> Vec<u8> {
    let path = GUESTS.join(target.name()).join("release").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()))
}

/// The folder with the programs of `examples/logger`.
pub(crate) fn logger() -> PathBuf {
    LOGGER.join("wasm32-wasip1/release")
}

/// A folder of this repository.
pub(crate) fn repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder)
}

fn target(name: &str) -> PathBuf {
    // Beside that of this workspace, where others who build the same find it.
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(name)
}

fn build(folder: &str, target: &Path, built_for: Target, options: &[&str]) {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target", built_for.name(), "--target-dir"])
        .arg(target)
        .args(options)
        .current_dir(repository(folder))
        // Flags and tools that were meant for the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo starts");
    assert!(built.success(), "`{folder}` builds; `cargo xtask setup` installs the targets that it needs");
}
