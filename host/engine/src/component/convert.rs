//! The types of `wasi:filesystem` from and to those of the file tree.

use qyv_vfs::{Advice, Attributes, Error, FileType, OpenOptions, SetTime, SyncKind};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::bindings::types;

const NANOS: u64 = 1_000_000_000;

pub(super) fn kind(kind: FileType) -> types::DescriptorType {
    match kind {
        FileType::Regular => types::DescriptorType::RegularFile,
        FileType::Directory => types::DescriptorType::Directory,
        FileType::Symlink => types::DescriptorType::SymbolicLink,
    }
}

pub(super) fn stat(attributes: &Attributes) -> types::DescriptorStat {
    let time = |nanos: u64| {
        let nanoseconds = (nanos % NANOS) as u32;
        Some(Datetime { seconds: nanos / NANOS, nanoseconds })
    };
    types::DescriptorStat {
        type_: kind(attributes.kind),
        link_count: attributes.links,
        size: attributes.size,
        data_access_timestamp: time(attributes.times.accessed),
        data_modification_timestamp: time(attributes.times.modified),
        status_change_timestamp: time(attributes.times.changed),
    }
}

/// Names the file, not its contents: guests take half of it for the inode number, which must stay. Files of two
/// mounts may share their inode number, hence a hash of both numbers.
pub(super) fn identity(attributes: &Attributes) -> types::MetadataHashValue {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&attributes.device.to_le_bytes());
    hasher.update(&attributes.inode.to_le_bytes());
    let mut halves = [[0; 8]; 2];
    hasher.finalize_xof().fill(halves.as_flattened_mut());
    types::MetadataHashValue { lower: u64::from_le_bytes(halves[0]), upper: u64::from_le_bytes(halves[1]) }
}

/// `INVAL` for more than 10^9 nanoseconds, `OVERFLOW` for times after the year 2554.
pub(super) fn time(time: types::NewTimestamp) -> qyv_vfs::Result<SetTime> {
    match time {
        types::NewTimestamp::NoChange => Ok(SetTime::Keep),
        types::NewTimestamp::Now => Ok(SetTime::Now),
        types::NewTimestamp::Timestamp(at) if u64::from(at.nanoseconds) >= NANOS => Err(Error::INVAL),
        types::NewTimestamp::Timestamp(at) => at
            .seconds
            .checked_mul(NANOS)
            .and_then(|nanos| nanos.checked_add(at.nanoseconds.into()))
            .map(SetTime::At)
            .ok_or(Error::OVERFLOW),
    }
}

pub(super) fn follow(flags: types::PathFlags) -> bool {
    flags.contains(types::PathFlags::SYMLINK_FOLLOW)
}

/// `INVAL` when a directory is to be created, replaced or emptied by opening it.
pub(super) fn options(open: types::OpenFlags, flags: types::DescriptorFlags) -> qyv_vfs::Result<OpenOptions> {
    let options = OpenOptions {
        read: flags.contains(types::DescriptorFlags::READ),
        write: flags.contains(types::DescriptorFlags::WRITE),
        create: open.contains(types::OpenFlags::CREATE),
        exclusive: open.contains(types::OpenFlags::EXCLUSIVE),
        truncate: open.contains(types::OpenFlags::TRUNCATE),
        directory: open.contains(types::OpenFlags::DIRECTORY),
    };
    if options.directory && (options.create || options.exclusive || options.truncate) {
        return Err(Error::INVAL);
    }
    Ok(options)
}

/// What must be synced after each write of a descriptor that was opened with `flags`.
pub(super) fn sync(flags: types::DescriptorFlags) -> Option<SyncKind> {
    if flags.contains(types::DescriptorFlags::FILE_INTEGRITY_SYNC) {
        Some(SyncKind::All)
    } else if flags.contains(types::DescriptorFlags::DATA_INTEGRITY_SYNC) {
        Some(SyncKind::Data)
    } else {
        None
    }
}

pub(super) fn advice(advice: types::Advice) -> Advice {
    match advice {
        types::Advice::Normal => Advice::Normal,
        types::Advice::Sequential => Advice::Sequential,
        types::Advice::Random => Advice::Random,
        types::Advice::WillNeed => Advice::WillNeed,
        types::Advice::DontNeed => Advice::DontNeed,
        types::Advice::NoReuse => Advice::NoReuse,
    }
}
