//! Packages of Debian and its kin, by `apt-get`, as root only.

use super::Missing;
use crate::shell::{program, run, text, which};

/// A program, the packages that bring it, and what is left out without it.
struct Tool {
    program: &'static str,
    packages: &'static str,
    consequence: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool { program: "c++", packages: "g++", consequence: "libFuzzer is not compiled, so `fuzz` fails" },
    Tool {
        program: "aarch64-linux-gnu-gcc",
        packages: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        consequence: "nothing is cross-built for aarch64",
    },
    Tool { program: "qemu-aarch64", packages: "qemu-user", consequence: "the guests do not run on aarch64" },
];

/// Installs the programs that are not there.
pub(super) fn install() -> Vec<Missing> {
    let absent = || TOOLS.iter().filter(|tool| which(tool.program).is_none());
    let packages: Vec<&str> = absent().map(|tool| tool.packages).collect();
    if !packages.is_empty()
        && let Err(error) = install_packages(&packages.join(" "))
    {
        println!("setup: {error:#}");
    }
    let missing = |tool: &Tool| Missing {
        what: format!("`{}` is not installed (Debian: `apt-get install {}`)", tool.program, tool.packages),
        consequence: tool.consequence,
    };
    absent().map(missing).collect()
}

/// Installs packages, after their lists were brought up to date.
pub(super) fn install_packages(packages: &str) -> anyhow::Result<()> {
    anyhow::ensure!(which("apt-get").is_some(), "there is no `apt-get` to install {packages}");
    anyhow::ensure!(is_root(), "only root can install {packages}");
    println!("setup: installing {packages}");
    run(&mut program("apt-get", "update --quiet --quiet"))?;
    let line = format!("install --quiet --quiet --yes --no-install-recommends {packages}");
    run(program("apt-get", &line).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> bool {
    text(&mut program("id", "-u")).is_ok_and(|id| id.trim() == "0")
}
