//! Moving bytes between guest buffers and files, without allocation.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use qyv_vfs::{Error, Result};
use rustix::io::ReadWriteFlags;

use super::{attributes, resolve};
use crate::sys::errno::call;
use crate::sys::growth::Contents;

/// How many buffers one system call takes: 1 KiB of stack. A longer list takes several calls.
const BUFFERS_MAX: usize = 64;

/// Reads at `offset` into the buffers in order, until they are full or the file ends.
pub(super) fn read(fd: BorrowedFd<'_>, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
    if let [buffer] = buffers {
        return call(|| rustix::io::pread(fd, &mut **buffer, offset));
    }
    read_list(fd, offset, buffers)
}

/// Apart, so that a read into one buffer needs no room for the list.
#[inline(never)]
fn read_list(fd: BorrowedFd<'_>, offset: u64, buffers: &mut [&mut [u8]]) -> Result<usize> {
    let mut done = 0;
    for chunk in buffers.chunks_mut(BUFFERS_MAX) {
        let asked: usize = chunk.iter().map(|buffer| buffer.len()).sum();
        let mut list: [IoSliceMut<'_>; BUFFERS_MAX] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let count = chunk.len();
        for (slot, buffer) in list.iter_mut().zip(chunk) {
            *slot = IoSliceMut::new(buffer);
        }
        let list = &mut list[..count];
        match call(|| rustix::io::preadv(fd, list, offset.saturating_add(done as u64))) {
            Ok(got) => {
                done += got;
                if got < asked {
                    break;
                }
            }
            // What was read before must not be lost.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

impl Contents for BorrowedFd<'_> {
    fn size(self) -> Result<u64> {
        Ok(attributes::size(&resolve::stat(self)?))
    }

    fn write(self, offset: u64, buffers: &[&[u8]], limit: u64) -> Result<usize> {
        write(self, offset, buffers, limit)
    }

    fn append(self, buffers: &[&[u8]], limit: u64) -> Result<(usize, u64)> {
        append(self, buffers, limit)
    }

    fn resize(self, size: u64) -> Result<()> {
        call(|| rustix::fs::ftruncate(self, size))
    }

    fn reserve(self, offset: u64, length: u64) -> Result<()> {
        reserve(self, offset, length)
    }
}

fn write(fd: BorrowedFd<'_>, offset: u64, buffers: &[&[u8]], limit: u64) -> Result<usize> {
    gather(buffers, limit, |list, done| {
        let at = offset.saturating_add(done);
        match list {
            [one] => rustix::io::pwrite(fd, one, at),
            _ => rustix::io::pwritev(fd, list, at),
        }
    })
}

fn append(fd: BorrowedFd<'_>, buffers: &[&[u8]], limit: u64) -> Result<(usize, u64)> {
    // With the offset -1 the kernel moves the descriptor's position to the end of what it wrote. Nothing else uses
    // that position, so asking for it gives this append's end even when others append too.
    const AT_POSITION: u64 = u64::MAX;
    let written =
        gather(buffers, limit, |list, _| rustix::io::pwritev2(fd, list, AT_POSITION, ReadWriteFlags::APPEND));
    match written {
        Ok(written) => Ok((written, call(|| rustix::fs::tell(fd))?)),
        // Kernels before 4.16, and file systems that do not know the flag.
        Err(Error::NOTSUP | Error::NOSYS) => {
            let end = attributes::size(&resolve::stat(fd)?);
            let written = write(fd, end, buffers, limit)?;
            Ok((written, end.saturating_add(written as u64)))
        }
        Err(error) => Err(error),
    }
}

fn reserve(fd: BorrowedFd<'_>, offset: u64, length: u64) -> Result<()> {
    match call(|| rustix::fs::fallocate(fd, rustix::fs::FallocateFlags::empty(), offset, length)) {
        Err(Error::NOTSUP | Error::NOSYS) => {
            let end = offset.saturating_add(length);
            if attributes::size(&resolve::stat(fd)?) < end {
                call(|| rustix::fs::ftruncate(fd, end))?;
            }
            Ok(())
        }
        result => result,
    }
}

/// Hands the buffers, cut to `limit` bytes, to `write` in lists of at most [`BUFFERS_MAX`], with the bytes written so
/// far, until one is not written whole.
fn gather(
    buffers: &[&[u8]],
    limit: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> rustix::io::Result<usize>,
) -> Result<usize> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut done = 0;
    for chunk in buffers.chunks(BUFFERS_MAX) {
        let mut list = [IoSlice::new(&[]); BUFFERS_MAX];
        let mut asked = 0;
        for (slot, buffer) in list.iter_mut().zip(chunk) {
            let taken = buffer.len().min(left);
            *slot = IoSlice::new(&buffer[..taken]);
            asked += taken;
            left -= taken;
        }
        match call(|| write(&list[..chunk.len()], done as u64)) {
            Ok(written) => {
                done += written;
                if written < asked || left == 0 {
                    break;
                }
            }
            // What was written before must not be lost.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
