//! Open files: positions, sizes, times, hints and durability.

use qyv_vfs::{Advice, Error, Node, Result, SetTime, SyncKind, Vfs};

use crate::abi::{self, fstflags, rights};
use crate::calls::Call;
use crate::fd::source_type;
use crate::memory::{self, Span};
use crate::table::Kind;
use crate::{Host, Memory};

/// A place in a file: at most 2^63 - 1, as everywhere where `off_t` is signed. `INVAL` otherwise.
pub(crate) fn position(offset: u64) -> Result<u64> {
    if i64::try_from(offset).is_ok() { Ok(offset) } else { Err(Error::INVAL) }
}

/// The file or directory behind a descriptor that has these rights; `BADF` when it is neither.
fn node<'a, M: ?Sized, H: ?Sized>(
    call: &'a mut Call<'_, M, H>,
    fd: u32,
    right: u64,
) -> Result<(&'a mut Vfs, Node)> {
    let descriptor = call.process.table.get(fd)?;
    descriptor.require(right)?;
    match descriptor.kind {
        Kind::File { node, .. } | Kind::Directory { node, .. } => Ok((&mut call.process.vfs, node)),
        _ => Err(Error::BADF),
    }
}

pub(crate) fn fd_advise<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_ADVISE)?;
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Error::INVAL),
    };
    vfs.advise(node, position(offset)?, position(len)?, advice)
}

pub(crate) fn fd_allocate<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    offset: u64,
    len: u64,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_ALLOCATE)?;
    let (offset, len) = (position(offset)?, position(len)?);
    if len == 0 {
        return Err(Error::INVAL);
    }
    position(offset + len).map_err(|_| Error::FBIG)?;
    vfs.allocate(node, offset, len)
}

pub(crate) fn fd_datasync<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_DATASYNC)?;
    vfs.sync(node, SyncKind::Data)
}

pub(crate) fn fd_sync<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_SYNC)?;
    vfs.sync(node, SyncKind::All)
}

pub(crate) fn fd_filestat_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    stat: u32,
) -> Result<()> {
    let descriptor = call.process.table.get(fd)?;
    descriptor.require(rights::FD_FILESTAT_GET)?;
    let bytes = match descriptor.kind {
        Kind::File { node, .. } | Kind::Directory { node, .. } => {
            abi::filestat(&call.process.vfs.attributes(node)?)
        }
        Kind::Source(source) => abi::filestat_bare(source_type(call.host, source)),
        Kind::Info { ref info, .. } => abi::filestat_text(info.size()),
        Kind::ClosedRoot { .. } | Kind::Services { .. } => abi::filestat_bare(abi::filetype::DIRECTORY),
    };
    call.memory.write(stat, &bytes)
}

pub(crate) fn fd_filestat_set_size<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    size: u64,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_FILESTAT_SET_SIZE)?;
    vfs.set_size(node, position(size)?)
}

/// The two times of a call that sets them. `INVAL` for an unknown flag, or for a time both given and "now".
pub(crate) fn times(accessed: u64, modified: u64, flags: u32) -> Result<(SetTime, SetTime)> {
    let flags = abi::flags(flags, fstflags::ALL)?;
    let time = |given: u16, now: u16, at: u64| match (flags & given != 0, flags & now != 0) {
        (false, false) => Ok(SetTime::Keep),
        (true, false) => Ok(SetTime::At(at)),
        (false, true) => Ok(SetTime::Now),
        (true, true) => Err(Error::INVAL),
    };
    Ok((
        time(fstflags::ATIM, fstflags::ATIM_NOW, accessed)?,
        time(fstflags::MTIM, fstflags::MTIM_NOW, modified)?,
    ))
}

pub(crate) fn fd_filestat_set_times<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result<()> {
    let (vfs, node) = node(call, fd, rights::FD_FILESTAT_SET_TIMES)?;
    let (accessed, modified) = times(atim, mtim, flags)?;
    let result = vfs.set_times(node, accessed, modified);
    if result == Err(Error::ROFS) {
        call.process.denied_write("fd_filestat_set_times", fd, "");
    }
    result
}

pub(crate) fn fd_seek<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    offset: u64,
    whence: u32,
    newoffset: u32,
) -> Result<()> {
    memory::check(call.memory, Span::new(newoffset, 8))?;
    let delta = offset.cast_signed();
    let descriptor = call.process.table.get_mut(fd)?;
    if let Kind::Source(_) = descriptor.kind {
        return Err(Error::SPIPE);
    }
    // Asking where one is needs less than going elsewhere.
    let asks = whence == 1 && delta == 0;
    descriptor.require(if asks { rights::FD_TELL } else { rights::FD_SEEK })?;
    let (offset, node, size) = match &mut descriptor.kind {
        Kind::File { node, offset, .. } => (offset, Some(*node), 0),
        Kind::Info { info, offset } => (offset, None, info.size()),
        _ => return Err(Error::BADF),
    };
    let base = match (whence, node) {
        (0, _) => 0,
        (1, _) => *offset,
        (2, Some(node)) => call.process.vfs.attributes(node)?.size,
        (2, None) => size,
        _ => return Err(Error::INVAL),
    };
    *offset = position(base.checked_add_signed(delta).ok_or(Error::INVAL)?)?;
    memory::put_u64(call.memory, newoffset, *offset)
}

pub(crate) fn fd_tell<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    offset: u32,
) -> Result<()> {
    let descriptor = call.process.table.get(fd)?;
    match descriptor.kind {
        Kind::Source(_) => Err(Error::SPIPE),
        Kind::File { offset: position, .. } | Kind::Info { offset: position, .. } => {
            descriptor.require(rights::FD_TELL)?;
            memory::put_u64(call.memory, offset, position)
        }
        Kind::Directory { .. } | Kind::ClosedRoot { .. } | Kind::Services { .. } => Err(Error::BADF),
    }
}
