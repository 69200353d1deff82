//! Descriptors as such: closing, renumbering, flags, rights, and what they were preopened as.

use qyv_vfs::{Error, FileType, Result};

use crate::abi::{self, fdflags, filetype, rights};
use crate::calls::Call;
use crate::table::{Descriptor, Kind};
use crate::{Host, Memory, Process, Source, StreamKind};

impl Process {
    /// Closes every descriptor, and a connection that is still being made. A process that is dropped without this leaves
    /// its connections and listeners open at the host, which is not asked again.
    pub fn close_all<H: Host + ?Sized>(&mut self, host: &mut H) {
        self.forget(host);
        for descriptor in self.table.take_all() {
            self.release(host, &descriptor);
        }
    }

    /// Ends what a descriptor that left the table named.
    pub(crate) fn release<H: Host + ?Sized>(&mut self, host: &mut H, descriptor: &Descriptor) {
        match descriptor.kind {
            Kind::File { node, .. } | Kind::Directory { node, .. } => self.vfs.close(node),
            Kind::Source(source @ (Source::Socket(_) | Source::Listener(_))) => host.close(source),
            // The streams are the host's own.
            Kind::Source(Source::Stream(_))
            | Kind::ClosedRoot { .. }
            | Kind::Services { .. }
            | Kind::Info { .. } => {}
        }
    }
}

pub(crate) fn fd_close<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
) -> Result<()> {
    let closed = call.process.table.remove(fd)?;
    call.process.release(call.host, &closed);
    Ok(())
}

/// `to` must be open, as in other hosts: so a guest cannot choose numbers, and the table stays dense.
pub(crate) fn fd_renumber<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    to: u32,
) -> Result<()> {
    if let Some(replaced) = call.process.table.renumber(fd, to)? {
        call.process.release(call.host, &replaced);
    }
    Ok(())
}

/// The type that a guest sees of a source. Of the streams only a terminal is a character device, because that is what
/// `isatty` asks; a regular file would promise that it can be sought in.
pub(crate) fn source_type<H: Host + ?Sized>(host: &H, source: Source) -> u8 {
    match source {
        Source::Stream(stream) => match host.stream_kind(stream) {
            StreamKind::Terminal => filetype::CHARACTER_DEVICE,
            StreamKind::File | StreamKind::Pipe | StreamKind::Null => filetype::UNKNOWN,
        },
        Source::Socket(_) | Source::Listener(_) => filetype::SOCKET_STREAM,
    }
}

pub(crate) fn fd_fdstat_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    stat: u32,
) -> Result<()> {
    let descriptor = call.process.table.get(fd)?;
    let filetype = match descriptor.kind {
        Kind::Source(source) => source_type(call.host, source),
        Kind::File { .. } | Kind::Info { .. } => abi::file_type(FileType::Regular),
        Kind::Directory { .. } | Kind::ClosedRoot { .. } | Kind::Services { .. } => {
            abi::file_type(FileType::Directory)
        }
    };
    let stat_bytes = abi::fdstat(filetype, descriptor.flags, descriptor.rights, descriptor.inheriting);
    call.memory.write(stat, &stat_bytes)
}

pub(crate) fn fd_fdstat_set_flags<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    flags: u32,
) -> Result<()> {
    let descriptor = call.process.table.get_mut(fd)?;
    let flags = abi::flags(flags, fdflags::ALL)?;
    descriptor.require(rights::FD_FDSTAT_SET_FLAGS)?;
    descriptor.flags = match descriptor.kind {
        Kind::Source(Source::Socket(_) | Source::Listener(_)) => flags & fdflags::SOCKET,
        _ => flags,
    };
    Ok(())
}

/// Rights can only be given up. `NOTCAPABLE` when one is asked for that the descriptor lacks.
pub(crate) fn fd_fdstat_set_rights<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    base: u64,
    inheriting: u64,
) -> Result<()> {
    let descriptor = call.process.table.get_mut(fd)?;
    if base & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Error::NOTCAPABLE);
    }
    descriptor.rights = base;
    descriptor.inheriting = inheriting;
    Ok(())
}

/// `BADF` for what was not preopened, the end of the list included: that is how a libc finds its end.
pub(crate) fn fd_prestat_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    prestat: u32,
) -> Result<()> {
    let name = call.process.table.get(fd)?.preopened_as().ok_or(Error::BADF)?;
    let name_bytes = u32::try_from(name.len()).map_err(|_| Error::OVERFLOW)?;
    call.memory.write(prestat, &abi::prestat(name_bytes))
}

/// `NAMETOOLONG` when the buffer is too small; a larger one is filled as far as the name goes, without a NUL.
pub(crate) fn fd_prestat_dir_name<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let name = call.process.table.get(fd)?.preopened_as().ok_or(Error::NOTDIR)?;
    if name.len() > path_len as usize {
        return Err(Error::NAMETOOLONG);
    }
    call.memory.write(path, name.as_bytes())
}
