//! Values of `run`'s options.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use qyv_spec::app::AppLimits;
use qyv_spec::manifest::GuestPath;
use qyv_spec::quantity::{Bytes, Cpus, Duration as Time};

/// `HOST::GUEST[:ro]`.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) host: PathBuf,
    pub(crate) guest: GuestPath,
    pub(crate) read_only: bool,
}

impl FromStr for Directory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, guest) = text.split_once("::").ok_or("write `HOST::GUEST`, as in `data::/data:ro`")?;
        let (guest, read_only) = match guest.strip_suffix(":ro") {
            Some(guest) => (guest, true),
            None => (guest.strip_suffix(":rw").unwrap_or(guest), false),
        };
        if host.is_empty() {
            return Err("the path on this host is empty; write `.` for this folder".into());
        }
        Ok(Self { host: host.into(), guest: guest.parse().map_err(show)?, read_only })
    }
}

/// `GUEST[:SIZE]`.
#[derive(Clone, Debug)]
pub(crate) struct MemoryMount {
    pub(crate) guest: GuestPath,
    /// Bytes; the app's whole memory when left out.
    pub(crate) size: Option<u64>,
}

impl FromStr for MemoryMount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (guest, size) = match text.split_once(':') {
            Some((guest, size)) => (guest, Some(size.parse::<Bytes>().map_err(show)?.0)),
            None => (text, None),
        };
        Ok(Self { guest: guest.parse().map_err(show)?, size })
    }
}

/// `NAME=VALUE`, a limit of the manifest.
#[derive(Clone, Debug)]
pub(crate) enum LimitOption {
    Memory(u64),
    Stack(u64),
    Fds(u32),
    Disk(u64),
    Inodes(u32),
    CpuMilli(u32),
    CpuTimeMs(u64),
    WallMs(u64),
}

impl FromStr for LimitOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write `NAME=VALUE`, as in `memory=64MiB`")?;
        let bytes = || value.parse::<Bytes>().map(|bytes| bytes.0).map_err(show);
        let time = || value.parse::<Time>().map(|time| time.0).map_err(show);
        Ok(match name {
            "memory" => Self::Memory(bytes()?),
            "stack" => Self::Stack(bytes()?),
            "fds" => Self::Fds(value.parse().map_err(|_| format!("`{value}` is no number of descriptors"))?),
            "disk" => Self::Disk(bytes()?),
            "inodes" => Self::Inodes(value.parse().map_err(|_| format!("`{value}` is no number of files"))?),
            "cpu" => Self::CpuMilli(value.parse::<Cpus>().map_err(show)?.0),
            "cpu_time" => Self::CpuTimeMs(time()?),
            "wall" => Self::WallMs(time()?),
            _ => {
                return Err(format!(
                    "`{name}` is no limit of a run; write memory, stack, fds, disk, inodes, cpu, cpu_time or wall"
                ));
            }
        })
    }
}

impl LimitOption {
    /// Puts the limit in the place of the manifest's.
    pub(crate) fn apply(&self, limits: &mut AppLimits) {
        match *self {
            Self::Memory(bytes) => limits.memory = bytes,
            Self::Stack(bytes) => limits.stack = bytes,
            Self::Fds(count) => limits.fds = count,
            Self::Disk(bytes) => limits.disk = bytes,
            Self::Inodes(count) => limits.inodes = count,
            Self::CpuMilli(milli) => limits.cpu_milli = Some(milli),
            Self::CpuTimeMs(ms) => limits.cpu_time_ms = Some(ms),
            Self::WallMs(ms) => limits.wall_ms = Some(ms),
        }
    }
}

/// A duration such as `30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Time>().map(|time| Duration::from_millis(time.0)).map_err(show)
}

/// `NAME=VALUE`, or `NAME` for the value that this process has.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (
            text,
            std::env::var(text).map_err(|_| format!("`{text}` is not set here; write `{text}=VALUE`"))?,
        ),
    };
    if name.is_empty() || text.contains('\0') {
        return Err("a variable needs a name, and holds no NUL".into());
    }
    Ok((name.to_owned(), value))
}

fn show(invalid: qyv_spec::Invalid) -> String {
    format!("{}; {}", invalid.message, invalid.mend)
}
