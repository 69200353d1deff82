//! A second wall: what the process may reach of the host's files, enforced by the kernel even if the first wall
//! (path resolution) has a hole.

use std::fmt;
use std::fs::File;
use std::io;

use crate::Folder;

/// What a process keeps of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Reading and listing.
    ReadOnly,
    /// Also writing, creating, renaming and removing files, directories and links. Never: executing, devices, FIFOs.
    ReadWrite,
}

/// Whether the wall stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wall {
    /// The kernel enforces it.
    Landlock {
        /// The version of the kernel's interface that is used.
        abi: u32,
        /// Whether everything that was asked for is enforced. Older kernels leave gaps: before version 3, files that
        /// can be opened can be truncated.
        complete: bool,
    },
    /// There is none, for this reason.
    Absent(String),
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock { abi, complete: true } => write!(f, "Landlock, version {abi}"),
            Self::Landlock { abi, complete: false } => write!(f, "Landlock, version {abi}, incomplete"),
            Self::Absent(why) => write!(f, "none: {why}"),
        }
    }
}

/// Takes from the calling thread, and from every thread and process that it starts from now on, all files but those
/// in the folders listed. Descriptors that are open stay as they are. There is no way back, nor to set-user-ID programs. Call it
/// while the process has one thread.
///
/// Best effort: the result says which wall stands. Where the kernel has no Landlock, nothing changes.
///
/// # Errors
///
/// The host's, when it does not take the rules. Nothing is restricted then.
pub fn restrict(keep: &[(&Folder, Reach)]) -> io::Result<Wall> {
    restrict_but(keep, &[])
}

/// As [`restrict`], but these files stay readable too, wherever they lie.
///
/// # Errors
///
/// As [`restrict`].
pub fn restrict_but(keep: &[(&Folder, Reach)], files: &[File]) -> io::Result<Wall> {
    sys::restrict(keep, files)
}

/// Which wall [`restrict`] would give, without restricting the caller.
#[must_use]
pub fn probe() -> Wall {
    // The restriction holds for the thread that asks, and ends with it.
    let asked = std::thread::Builder::new().spawn(|| restrict(&[])).map(std::thread::JoinHandle::join);
    match asked {
        Ok(Ok(Ok(wall))) => wall,
        Ok(Ok(Err(error))) | Err(error) => Wall::Absent(error.to_string()),
        Ok(Err(_)) => Wall::Absent("the attempt failed".into()),
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::fs::File;
    use std::io;

    use landlock::{
        ABI, Access as _, AccessFs, BitFlags, LandlockStatus, PathBeneath, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetStatus, make_bitflags,
    };

    use super::{Folder, Reach, Wall};

    /// The rights that are taken away are those of this version; it also limits `ioctl` on devices.
    const VERSION: ABI = ABI::V5;

    pub(super) fn restrict(keep: &[(&Folder, Reach)], files: &[File]) -> io::Result<Wall> {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))
            .and_then(Ruleset::create)
            .map_err(io::Error::other)?;
        for (folder, reach) in keep {
            rules = rules.add_rule(PathBeneath::new(folder, rights(*reach))).map_err(io::Error::other)?;
        }
        for file in files {
            let read = BitFlags::from(AccessFs::ReadFile);
            rules = rules.add_rule(PathBeneath::new(file, read)).map_err(io::Error::other)?;
        }
        let status = rules.restrict_self().map_err(io::Error::other)?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                Wall::Absent("Landlock is switched off in this kernel; boot with `lsm=landlock,…`".into())
            }
            (RulesetStatus::NotEnforced, _) => {
                Wall::Absent("this kernel has no Landlock; it came with Linux 5.13".into())
            }
            (enforced, LandlockStatus::Available { effective_abi, .. }) => Wall::Landlock {
                abi: effective_abi as u32,
                complete: enforced == RulesetStatus::FullyEnforced,
            },
            (_, status) => Wall::Absent(format!("Landlock: {status:?}")),
        })
    }

    fn rights(reach: Reach) -> BitFlags<AccessFs> {
        let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let write = make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
        });
        match reach {
            Reach::ReadOnly => read,
            Reach::ReadWrite => read | write,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::fs::File;
    use std::io;

    use super::{Folder, Reach, Wall};

    pub(super) fn restrict(_: &[(&Folder, Reach)], _: &[File]) -> io::Result<Wall> {
        Ok(Wall::Absent("Landlock is a part of Linux".into()))
    }
}
