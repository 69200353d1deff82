//! Attributes and times between the kernel's form and the guest's.

use qyv_vfs::{Attributes, Error, FileType, Result, SetTime, Times};
use rustix::fs::{FileType as HostType, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::sys::quota::FileId;

const NANOSECONDS: u64 = 1_000_000_000;

/// The guest's attributes; `PERM` for a kind of file that is not served.
#[expect(clippy::unnecessary_cast, reason = "the kernel's field widths differ between architectures")]
pub(super) fn attributes(stat: &Stat) -> Result<Attributes> {
    Ok(Attributes {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        kind: kind(stat).ok_or(Error::PERM)?,
        links: stat.st_nlink as u64,
        size: size(stat),
        times: Times {
            accessed: nanoseconds(stat.st_atime as i64, stat.st_atime_nsec as u64),
            modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        },
    })
}

/// The kind, if it is one that is served.
pub(super) fn kind(stat: &Stat) -> Option<FileType> {
    served(HostType::from_raw_mode(stat.st_mode))
}

pub(super) fn served(host: HostType) -> Option<FileType> {
    match host {
        HostType::RegularFile => Some(FileType::Regular),
        HostType::Directory => Some(FileType::Directory),
        HostType::Symlink => Some(FileType::Symlink),
        _ => None,
    }
}

pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[expect(clippy::unnecessary_cast, reason = "the kernel's field widths differ between architectures")]
pub(super) fn file_id(stat: &Stat) -> FileId {
    FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

/// Before 1970 counts as 1970.
fn nanoseconds(seconds: i64, rest: u64) -> u64 {
    u64::try_from(seconds).map_or(0, |seconds| seconds.saturating_mul(NANOSECONDS).saturating_add(rest))
}

pub(super) fn timestamps(accessed: SetTime, modified: SetTime) -> Timestamps {
    Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) }
}

#[expect(clippy::cast_possible_wrap, reason = "u64::MAX / 10^9 seconds and a remainder below 10^9 fit")]
fn timespec(time: SetTime) -> Timespec {
    match time {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::At(at) => Timespec { tv_sec: (at / NANOSECONDS) as i64, tv_nsec: (at % NANOSECONDS) as _ },
    }
}
