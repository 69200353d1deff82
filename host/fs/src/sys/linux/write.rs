//! Growing and shrinking files within the limits of their folder.

use std::os::fd::BorrowedFd;

use qyv_vfs::{Error, Handle, Result};

use super::DiskFs;
use super::attributes::size;
use super::errno::call;
use super::resolve::stat;
use super::slab::{Open, Role};
use super::transfer;

/// What the kernel refuses by itself.
const HOST_MAX_FILE: u64 = i64::MAX.unsigned_abs();

impl DiskFs {
    pub(super) fn write_file(&mut self, file: Handle, offset: u64, buffers: &[&[u8]]) -> Result<usize> {
        let fd = self.slab.get(file)?.for_writing()?;
        let length = total(buffers);
        // Writing nothing is no growth, wherever.
        within(if length == 0 { HOST_MAX_FILE } else { self.max_file }, offset, length)?;
        if length == 0 {
            return Ok(0);
        }
        let Some(quota) = &mut self.quota else { return transfer::write(fd, offset, buffers, length) };
        let before = size(&stat(fd)?);
        let (fits, taken) = quota.take_growth(before, offset, length)?;
        let result = transfer::write(fd, offset, buffers, fits);
        let end = match result {
            Ok(0) => before,
            Ok(written) => offset.saturating_add(written as u64),
            Err(_) => size_now(fd, before),
        };
        quota.settle(taken, before, end);
        result
    }

    pub(super) fn append_file(&mut self, file: Handle, buffers: &[&[u8]]) -> Result<(usize, u64)> {
        let fd = self.slab.get(file)?.for_writing()?;
        let length = total(buffers);
        if length == 0 {
            return Ok((0, size(&stat(fd)?)));
        }
        if self.quota.is_none() && self.max_file == HOST_MAX_FILE {
            return transfer::append(fd, buffers, length);
        }
        let before = size(&stat(fd)?);
        within(self.max_file, before, length)?;
        let Some(quota) = &mut self.quota else { return transfer::append(fd, buffers, length) };
        let (fits, taken) = quota.take_growth(before, before, length)?;
        let result = transfer::append(fd, buffers, fits);
        let end = result
            .map_or_else(|_| size_now(fd, before), |(written, _)| before.saturating_add(written as u64));
        quota.settle(taken, before, end);
        result
    }

    pub(super) fn resize_file(&mut self, file: Handle, new: u64) -> Result<()> {
        let fd = self.slab.get(file)?.for_writing()?;
        within(self.max_file, 0, new)?;
        let Some(quota) = &mut self.quota else { return call(|| rustix::fs::ftruncate(fd, new)) };
        let before = size(&stat(fd)?);
        let taken = take_all(quota, before, new)?;
        let result = call(|| rustix::fs::ftruncate(fd, new));
        if result.is_err() {
            quota.bytes.give_back(taken);
        } else {
            quota.bytes.give_back(before.saturating_sub(new));
        }
        result
    }

    pub(super) fn reserve_file(&mut self, file: Handle, offset: u64, length: u64) -> Result<()> {
        if length == 0 || offset > HOST_MAX_FILE || length > HOST_MAX_FILE {
            return Err(Error::INVAL);
        }
        let fd = self.slab.get(file)?.for_writing()?;
        let end = Some(offset + length).filter(|&end| end <= self.max_file).ok_or(Error::FBIG)?;
        let Some(quota) = &mut self.quota else { return transfer::allocate(fd, offset, length) };
        let before = size(&stat(fd)?);
        let taken = take_all(quota, before, end)?;
        let result = transfer::allocate(fd, offset, length);
        if result.is_err() {
            quota.settle(taken, before, size_now(fd, before));
        }
        result
    }

    /// A handle was closed: a file that has no name is gone with its last one.
    pub(super) fn closed(&mut self, open: &Open) {
        let Some(quota) = &mut self.quota else { return };
        if let Role::File { id: Some(id), .. } = open.role
            && !self.slab.holds(id)
            && let Ok(found) = stat(open.fd())
            && found.st_nlink == 0
        {
            quota.give_back_file(size(&found));
        }
    }
}

/// The size of a file after a call that failed: a full disk may have let a part of it grow.
fn size_now(fd: BorrowedFd<'_>, before: u64) -> u64 {
    stat(fd).map_or(before, |found| size(&found))
}

/// Takes the whole growth of a file from `before` to `after` bytes, or `NOSPC`. Returns what was taken.
fn take_all(quota: &mut super::quota::Quota, before: u64, after: u64) -> Result<u64> {
    let growth = after.saturating_sub(before);
    let taken = quota.bytes.take_up_to(growth);
    if taken == growth {
        return Ok(taken);
    }
    quota.bytes.give_back(taken);
    Err(Error::NOSPC)
}

/// The end of a range, if a file may be that long. `INVAL` where the kernel's own offsets end.
fn within(max_file: u64, offset: u64, length: u64) -> Result<u64> {
    let end = offset.checked_add(length).filter(|&end| end <= HOST_MAX_FILE).ok_or(Error::INVAL)?;
    if end <= max_file { Ok(end) } else { Err(Error::FBIG) }
}

fn total(buffers: &[&[u8]]) -> u64 {
    buffers.iter().fold(0, |sum: u64, buffer| sum.saturating_add(buffer.len() as u64))
}
