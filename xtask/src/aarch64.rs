//! `qyvol` for aarch64: cross-built, and tried with the preview-1 guests under `qemu-user`.
//!
//! `qyvol` starts itself again to compile, so the kernel must know what to do with a program for aarch64. A handler of
//! the machine is used where there is one. Otherwise one is registered in a user namespace of its own, where the
//! kernel allows that (Linux 6.7 or newer): nothing on the machine changes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::shell::{cargo, program, run, target_folder, text, which};
use crate::steps::Outcome;

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Where Debian's cross packages keep the C library.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";
/// The beginning of every 64-bit little-endian ELF program for aarch64, and which of its bits count.
const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// The step of `cargo xtask test`.
pub(crate) fn step() -> Result<Outcome> {
    if which("aarch64-linux-gnu-gcc").is_none() {
        return Ok(Outcome::LeftOut("`aarch64-linux-gnu-gcc` is not installed".into()));
    }
    run(&mut cargo(&format!("build --locked --quiet -p qyvol --target {TARGET}")))?;
    let Some(qemu) = which("qemu-aarch64") else {
        return Ok(Outcome::LeftOut("built; `qemu-aarch64` is not installed".into()));
    };
    run(&mut cargo("build --locked --quiet --workspace --all-targets"))?;
    let qyvol = target_folder().join(TARGET).join("debug/qyvol");
    let Some(mut guests) = under_qemu(&qemu, &qyvol)? else {
        return Ok(Outcome::LeftOut(
            "built; the kernel has no handler for programs of aarch64 and allows none in a user namespace \
             (Debian: `apt-get install qemu-user-binfmt`)"
                .into(),
        ));
    };
    guests.arg(target_folder().join("debug/conformance")).args(["guests", "--filter", "p1_"]);
    // The file systems in memory: this `qemu-user` may be older than `openat2`, on which files of the disk rest.
    guests.args(["--backend", "memfs"]);
    run(guests.env("QYVOL_BIN", &qyvol).env("QEMU_LD_PREFIX", LIBRARIES))?;
    Ok(Outcome::Passed)
}

/// A command to which the program and its arguments are added, and under which `qyvol` can run.
fn under_qemu(qemu: &Path, qyvol: &Path) -> Result<Option<Command>> {
    let version = |mut command: Command| {
        text(command.arg(qyvol).arg("--version").env("QEMU_LD_PREFIX", LIBRARIES)).is_ok()
    };
    if version(program("env", "")) {
        return Ok(Some(program("env", "")));
    }
    let script = target_folder().join("tools/qemu-aarch64");
    fs::create_dir_all(script.parent().unwrap_or(&script))?;
    // `F`: the kernel opens the interpreter now, so that it does not matter what the namespace sees later.
    let register = format!(
        "#!/bin/sh\nset -e\nmount -t binfmt_misc none /proc/sys/fs/binfmt_misc\n\
         echo ':qemu-aarch64:M::{MAGIC}:{MASK}:{}:F' > /proc/sys/fs/binfmt_misc/register\nexec \"$@\"\n",
        qemu.display()
    );
    fs::write(&script, register).with_context(|| format!("write `{}`", script.display()))?;
    let namespace = || program("unshare", &format!("--user --map-root-user --mount sh {}", script.display()));
    Ok(version(namespace()).then(namespace))
}
