//! `qyvol` for aarch64: cross-built, and tried with the preview-1 guests under `qemu-user`.
//!
//! `qyvol` starts itself again to compile, so the kernel must know what to do with a program for aarch64. A handler of
//! the machine is used where there is one. Otherwise one is registered in a user namespace of its own, where the
//! kernel allows that (Linux 6.7 or newer): nothing on the machine changes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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
    run(&mut cargo("build --locked --quiet -p conformance"))?;
    let qyvol = target_folder().join(TARGET).join("debug/qyvol");
    let Some(mut guests) = under_qemu(&qemu, &qyvol)? else {
        return Ok(Outcome::LeftOut(
            "built; the kernel has no handler for programs of aarch64 and allows none in a user namespace \
             (Debian: `apt-get install qemu-user-binfmt`)"
                .into(),
        ));
    };
    guests.arg(target_folder().join("debug/conformance")).args(["guests", "--filter", "p1_"]);
    // Not under Node, which would run none of what was built here.
    guests.args(["--backend", "diskfs", "--backend", "memfs", "--backend", "overlay"]);
    run(guests.env("QYVOL_BIN", &qyvol))?;
    Ok(Outcome::Passed)
}

/// A command to which the program and its arguments are added, and under which `qyvol` can run.
fn under_qemu(qemu: &Path, qyvol: &Path) -> Result<Option<Command>> {
    let works = |mut command: Command| text(command.arg(qyvol).arg("--version")).is_ok();
    if works(program("env", "")) {
        return Ok(Some(program("env", "")));
    }
    let tools = target_folder().join("tools");
    fs::create_dir_all(&tools)?;
    // The kernel starts this in the place of the program. It names the libraries itself, because `qyvol` gives no
    // environment to the process that compiles.
    let interpreter = tools.join("aarch64-interpreter");
    let script = format!("#!/bin/sh\nexec {} -L {LIBRARIES} \"$@\"\n", qemu.display());
    write_program(&interpreter, &script)?;
    let registrar = tools.join("aarch64-namespace");
    let script = format!(
        "#!/bin/sh\nset -e\nmount -t binfmt_misc none /proc/sys/fs/binfmt_misc\n\
         printf %s ':qemu-aarch64:M::{MAGIC}:{MASK}:{}:' > /proc/sys/fs/binfmt_misc/register\nexec \"$@\"\n",
        interpreter.display()
    );
    write_program(&registrar, &script)?;
    let namespace = || program("unshare", &format!("--user --map-root-user --mount {}", registrar.display()));
    Ok(works(namespace()).then(namespace))
}

fn write_program(path: &Path, script: &str) -> Result<()> {
    fs::write(path, script).with_context(|| format!("write `{}`", path.display()))?;
    let everyone_may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, everyone_may_run).with_context(|| format!("change `{}`", path.display()))
}
