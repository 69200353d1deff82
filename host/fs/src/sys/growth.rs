//! Growing and shrinking files within the limits of their folder.

use std::io;

use qyv_vfs::{Error, Result};

use super::quota::{Quota, Usage};
use crate::DiskFsOptions;

/// What every host refuses by itself.
const HOST_MAX_FILE: u64 = i64::MAX.unsigned_abs();

/// An open file as the host gives it.
pub(super) trait Contents: Copy {
    /// Its length in bytes.
    fn size(self) -> Result<u64>;

    /// Writes at most `limit` bytes of the buffers in order at `offset`.
    fn write(self, offset: u64, buffers: &[&[u8]], limit: u64) -> Result<usize>;

    /// Writes at most `limit` bytes of the buffers at the end of the file, wherever it is at that moment. Returns
    /// also the end after the last byte written.
    fn append(self, buffers: &[&[u8]], limit: u64) -> Result<(usize, u64)>;

    /// Makes it `size` bytes long.
    fn resize(self, size: u64) -> Result<()>;

    /// Makes sure that the range is stored. A file system that cannot reserve only makes the file as long.
    fn reserve(self, offset: u64, length: u64) -> Result<()>;
}

/// What the files of one folder may grow to.
pub(super) struct Limits {
    max_file: u64,
    pub(super) quota: Option<Quota>,
}

impl Limits {
    /// Begins with what `count` finds, which is asked only where there is a quota.
    pub(super) fn new(options: DiskFsOptions, count: impl FnOnce() -> io::Result<Usage>) -> io::Result<Self> {
        let quota =
            options.quota.map(|limits| Ok::<_, io::Error>(Quota::new(limits, &count()?))).transpose()?;
        Ok(Self { max_file: options.max_file.min(HOST_MAX_FILE), quota })
    }

    pub(super) fn write(&mut self, file: impl Contents, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let length = total(buffers);
        // Writing nothing is no growth, wherever.
        within(if length == 0 { HOST_MAX_FILE } else { self.max_file }, offset, length)?;
        if length == 0 {
            return Ok(0);
        }
        let Some(quota) = &mut self.quota else { return file.write(offset, buffers, length) };
        let before = file.size()?;
        let (fits, taken) = quota.take_growth(before, offset, length)?;
        let result = file.write(offset, buffers, fits);
        let end = match result {
            Ok(0) => before,
            Ok(written) => offset.saturating_add(written as u64),
            Err(_) => size_now(file, before),
        };
        quota.settle(taken, before, end);
        result
    }

    pub(super) fn append(&mut self, file: impl Contents, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        let length = total(buffers);
        if length == 0 {
            return Ok((0, file.size()?));
        }
        if self.quota.is_none() && self.max_file == HOST_MAX_FILE {
            return file.append(buffers, length);
        }
        let before = file.size()?;
        within(self.max_file, before, length)?;
        let Some(quota) = &mut self.quota else { return file.append(buffers, length) };
        let (fits, taken) = quota.take_growth(before, before, length)?;
        let result = file.append(buffers, fits);
        let end = result
            .map_or_else(|_| size_now(file, before), |(written, _)| before.saturating_add(written as u64));
        quota.settle(taken, before, end);
        result
    }

    pub(super) fn resize(&mut self, file: impl Contents, new: u64) -> Result<()> {
        within(self.max_file, 0, new)?;
        let Some(quota) = &mut self.quota else { return file.resize(new) };
        let before = file.size()?;
        let taken = take_all(quota, before, new)?;
        let result = file.resize(new);
        if result.is_err() {
            quota.bytes.give_back(taken);
        } else {
            quota.bytes.give_back(before.saturating_sub(new));
        }
        result
    }

    /// The range is one that [`reservable`] accepted.
    pub(super) fn reserve(&mut self, file: impl Contents, offset: u64, length: u64) -> Result<()> {
        let end = offset.checked_add(length).filter(|&end| end <= self.max_file).ok_or(Error::FBIG)?;
        let Some(quota) = &mut self.quota else { return file.reserve(offset, length) };
        let before = file.size()?;
        let taken = take_all(quota, before, end)?;
        let result = file.reserve(offset, length);
        if result.is_err() {
            quota.settle(taken, before, size_now(file, before));
        }
        result
    }

    /// Makes one more name, which takes one inode; it is given back when `make` fails.
    pub(super) fn charged<T>(&mut self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(quota) = &mut self.quota else { return make() };
        quota.take_inode()?;
        make().inspect_err(|_| quota.inodes.give_back(1))
    }
}

/// `INVAL` for a range that no host could reserve.
pub(super) fn reservable(offset: u64, length: u64) -> Result<()> {
    let makes_sense = length != 0 && offset <= HOST_MAX_FILE && length <= HOST_MAX_FILE;
    if makes_sense { Ok(()) } else { Err(Error::INVAL) }
}

/// The size of a file after a call that failed: a full disk may have let a part of it grow.
fn size_now(file: impl Contents, before: u64) -> u64 {
    file.size().unwrap_or(before)
}

/// Takes the whole growth of a file from `before` to `after` bytes, or `NOSPC`. Returns what was taken.
fn take_all(quota: &mut Quota, before: u64, after: u64) -> Result<u64> {
    let growth = after.saturating_sub(before);
    let taken = quota.bytes.take_up_to(growth);
    if taken == growth {
        return Ok(taken);
    }
    quota.bytes.give_back(taken);
    Err(Error::NOSPC)
}

/// The end of a range, if a file may be that long. `INVAL` where the host's own offsets end.
fn within(max_file: u64, offset: u64, length: u64) -> Result<u64> {
    let end = offset.checked_add(length).filter(|&end| end <= HOST_MAX_FILE).ok_or(Error::INVAL)?;
    if end <= max_file { Ok(end) } else { Err(Error::FBIG) }
}

fn total(buffers: &[&[u8]]) -> u64 {
    buffers.iter().fold(0, |sum: u64, buffer| sum.saturating_add(buffer.len() as u64))
}
