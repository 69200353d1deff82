//! The things that `doctor` looks at, one function each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use qyvol_engine::{Cache, Compiler, ENGINE_VERSION, Interrupt, Program, Settings, Source};
use qyvol_fs::landlock::{Wall, probe};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::Checked;
use crate::failure::Failure;
use crate::folders;

/// The smallest program: a `_start` that does nothing.
const SMALLEST: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a\x04\x01\x02\0\x0b";
/// How long its compilation may take.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(20);
/// Less room than this for the cache is little: a large program's native code has 200 MiB.
const ROOM_BYTES_MIN: u64 = 1 << 30;
/// An address space of less is too small for the reservations of several memories of 4 GiB.
const ADDRESS_SPACE_BYTES_MIN: u64 = 16 << 30;

/// Looks at everything, in the order in which it is shown.
pub(super) fn all() -> Vec<Checked> {
    vec![
        versions(),
        system(),
        landlock(),
        seccomp(),
        openat2(),
        address_space(),
        compiler(),
        cache(),
        room(),
        policy(),
        trust(),
    ]
}

fn versions() -> Checked {
    Checked::ok("version", format!("qyvol {}, wasmtime {ENGINE_VERSION}", env!("CARGO_PKG_VERSION")))
}

fn system() -> Checked {
    let system = rustix::system::uname();
    let features = qyvol_engine::processor_features();
    Checked::ok(
        "system",
        format!(
            "{} {}, {}, processor features: {}",
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy(),
            std::env::consts::ARCH,
            if features.is_empty() { "none that matter" } else { &features },
        ),
    )
}

fn landlock() -> Checked {
    const NAME: &str = "landlock";
    let mend =
        "use a kernel of 6.2 or later with `landlock` in its `lsm=` list; path resolution still holds guests";
    match probe() {
        wall @ Wall::Landlock { complete: true, .. } => Checked::ok(NAME, wall.to_string()),
        wall => Checked::warn(NAME, format!("the second wall around a guest's files: {wall}"), mend),
    }
}

fn seccomp() -> Checked {
    const NAME: &str = "seccomp";
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split_whitespace().any(|action| action == "errno") {
        Checked::ok(NAME, "the process that compiles reaches neither files nor network")
    } else {
        let mend = "use a kernel with `CONFIG_SECCOMP_FILTER`; memory and time of the compiler stay limited";
        Checked::warn(NAME, "the kernel offers no filters for the process that compiles", mend)
    }
}

fn openat2() -> Checked {
    const NAME: &str = "openat2";
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH) {
        Ok(_) => Checked::ok(NAME, "the kernel itself keeps paths within their folder"),
        Err(error) => Checked::broken(
            NAME,
            format!("the kernel does not resolve paths beneath a folder: {error}"),
            Some("use a kernel of 5.6 or later, and a container runtime that lets `openat2` pass".into()),
        ),
    }
}

fn address_space() -> Checked {
    const NAME: &str = "addresses";
    match rustix::process::getrlimit(rustix::process::Resource::As).current {
        Some(bytes) if bytes < ADDRESS_SPACE_BYTES_MIN => Checked::warn(
            NAME,
            format!(
                "this process may use {} of address space; a guest's memory reserves 4 GiB",
                HumanBytes(bytes)
            ),
            "run `ulimit -v unlimited`",
        ),
        _ => Checked::ok(NAME, "not limited"),
    }
}

/// Compiles the smallest program, in a cache that is thrown away.
fn compiler() -> Checked {
    const NAME: &str = "compiler";
    let start = Instant::now();
    let compile = || {
        let folder = tempfile::tempdir().map_err(Failure::own)?;
        let cache = Cache::open(folder.path().join("code"))?;
        let mut compiler = Compiler::this_program(crate::cli::COMPILE_ARGUMENT).map_err(Failure::own)?;
        compiler.timeout = COMPILE_TIMEOUT;
        let interrupt = Interrupt::new().map_err(Failure::own)?;
        let source = Source { hash: qyvol_engine::hash(SMALLEST), bytes: &|| Ok(SMALLEST.to_vec()) };
        Program::load(&source, &Settings::default(), &cache, &compiler, &interrupt, &mut ())?;
        Ok::<_, Failure>(())
    };
    match compile() {
        Ok(()) => {
            Checked::ok(NAME, format!("works, {} ms for the smallest program", start.elapsed().as_millis()))
        }
        Err(failure) => Checked::broken(NAME, failure.message, failure.hints.into_iter().next()),
    }
}

fn cache() -> Checked {
    const NAME: &str = "cache";
    let folder = match folders::cache() {
        Ok(folder) => folder,
        Err(failure) => return Checked::broken(NAME, failure.message, failure.hints.into_iter().next()),
    };
    let shown = folder.display();
    if fs::symlink_metadata(&folder).is_err() {
        return Checked::ok(NAME, format!("`{shown}`, not made yet"));
    }
    let entries = Cache::open(&folder).and_then(|cache| cache.list());
    match entries {
        Ok(entries) => {
            let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
            let flawed = entries.iter().filter(|entry| entry.record.is_none()).count();
            let found = format!("`{shown}`, {} entries, {}", entries.len(), HumanBytes(bytes));
            if flawed > 0 {
                let mend = "run `qyvol cache prune`; such entries are never loaded";
                Checked::warn(NAME, format!("{found}, {flawed} not in order"), mend)
            } else {
                Checked::ok(NAME, found)
            }
        }
        // The message tells how to mend it.
        Err(error) => Checked::broken(NAME, error.to_string(), None),
    }
}

fn room() -> Checked {
    const NAME: &str = "room";
    let Ok(folder) = folders::cache() else { return Checked::ok(NAME, "not known") };
    let place: PathBuf =
        folder.ancestors().find(|place| place.is_dir()).map_or_else(|| "/".into(), Path::to_owned);
    match rustix::fs::statvfs(&place) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} free for the cache", HumanBytes(free));
            if free < ROOM_BYTES_MIN {
                Checked::warn(NAME, found, "free some, or choose another place with `QYVOL_CACHE_DIR`")
            } else {
                Checked::ok(NAME, found)
            }
        }
        Err(error) => {
            Checked::warn(NAME, format!("`{}`: {error}", place.display()), "make the folder readable")
        }
    }
}

fn policy() -> Checked {
    const NAME: &str = "policy";
    match crate::run::grants::policy_file() {
        Ok(Some((path, _))) => Checked::ok(NAME, format!("`{}`", path.display())),
        Ok(None) => Checked::ok(NAME, "none: nothing is capped, nothing is granted without a question"),
        Err(failure) => Checked::broken(
            NAME,
            failure.message.trim_end(),
            Some("mend the file; until then nothing is run".into()),
        ),
    }
}

fn trust() -> Checked {
    const NAME: &str = "trust";
    match crate::target::bundle::trust_store() {
        Ok(store) => {
            let revoked = store.keys().filter(|key| key.revoked).count();
            Checked::ok(NAME, format!("{} keys, {revoked} of them revoked", store.keys().len()))
        }
        Err(failure) => Checked::broken(
            NAME,
            failure.message,
            Some("mend the file, or move it away and trust its keys again with `qyvol trust add`".into()),
        ),
    }
}
