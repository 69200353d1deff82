//! Reading and writing: files at an offset, streams and connections as they come.

use qyv_vfs::{Error, Node, Result, SyncKind, Vfs};

use crate::abi::{fdflags, rights};
use crate::calls::Call;
use crate::file::position;
use crate::memory::{self, Span, Vector};
use crate::outcome::{Step, Stop};
use crate::services::Info;
use crate::table::{Descriptor, Kind};
use crate::{Host, Interest, Memory, Source};

pub(crate) fn fd_read<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Step<()> {
    let process = &mut *call.process;
    let descriptor = process.table.get_mut(fd)?;
    descriptor.require(rights::FD_READ)?;
    let nonblocking = descriptor.has(fdflags::NONBLOCK);
    let vector = vector(call.memory, iovs, iovs_len, nread)?;
    let got = match &mut descriptor.kind {
        Kind::File { node, offset, .. } => {
            let (vfs, node) = (&mut process.vfs, *node);
            let start = *offset;
            let got = memory::scatter(call.memory, &process.memory, vector, |buffers| {
                let got = vfs.read_at(node, *offset, buffers)?;
                *offset = offset.saturating_add(got as u64);
                Ok(got)
            })?;
            *offset = start.saturating_add(got.into());
            got
        }
        Kind::Info { info, offset } => {
            let got = memory::scatter(call.memory, &process.memory, vector, read_info(info, *offset))?;
            *offset = offset.saturating_add(got.into());
            got
        }
        Kind::Source(source) => {
            let source = *source;
            let got = receive(call, source, vector, false);
            or_wait(call, got, source, Interest::Read, nonblocking)?
        }
        _ => return Err(Error::BADF.into()),
    };
    Ok(memory::put_u32(call.memory, nread, got)?)
}

pub(crate) fn fd_pread<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Step<()> {
    let process = &mut *call.process;
    let descriptor = process.table.get(fd)?;
    descriptor.require(rights::FD_READ)?;
    let got = if let Kind::Info { info, .. } = &descriptor.kind {
        let vector = vector(call.memory, iovs, iovs_len, nread)?;
        memory::scatter(call.memory, &process.memory, vector, read_info(info, position(offset)?))?
    } else {
        let (vfs, node) = (&mut process.vfs, file_at(descriptor)?);
        let vector = vector(call.memory, iovs, iovs_len, nread)?;
        let mut at = position(offset)?;
        memory::scatter(call.memory, &process.memory, vector, |buffers| {
            let got = vfs.read_at(node, at, buffers)?;
            at = at.saturating_add(got as u64);
            Ok(got)
        })?
    };
    Ok(memory::put_u32(call.memory, nread, got)?)
}

pub(crate) fn fd_write<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Step<()> {
    let process = &mut *call.process;
    let descriptor = process.table.get_mut(fd)?;
    descriptor.require(rights::FD_WRITE)?;
    let flags = descriptor.flags;
    let vector = vector(call.memory, iovs, iovs_len, nwritten)?;
    let taken = match &mut descriptor.kind {
        Kind::File { node, offset, .. } => {
            let (vfs, node) = (&mut process.vfs, *node);
            let taken = memory::gather(call.memory, &process.memory, vector, |buffers| {
                let (taken, end) = write(vfs, node, *offset, flags, buffers)?;
                *offset = end;
                Ok(taken)
            })?;
            sync(vfs, node, flags)?;
            taken
        }
        Kind::Source(source) => {
            let source = *source;
            let taken = send(call, source, vector);
            or_wait(call, taken, source, Interest::Write, flags & fdflags::NONBLOCK != 0)?
        }
        _ => return Err(Error::BADF.into()),
    };
    Ok(memory::put_u32(call.memory, nwritten, taken)?)
}

/// With `APPEND` it writes at the end, whatever the offset, as on Linux.
pub(crate) fn fd_pwrite<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Step<()> {
    let descriptor = call.process.table.get(fd)?;
    descriptor.require(rights::FD_WRITE)?;
    let (node, flags) = (file_at(descriptor)?, descriptor.flags);
    let vector = vector(call.memory, iovs, iovs_len, nwritten)?;
    let mut at = position(offset)?;
    let vfs = &mut call.process.vfs;
    let taken = memory::gather(call.memory, &call.process.memory, vector, |buffers| {
        let (taken, end) = write(vfs, node, at, flags, buffers)?;
        at = end;
        Ok(taken)
    })?;
    sync(vfs, node, flags)?;
    Ok(memory::put_u32(call.memory, nwritten, taken)?)
}

/// Checks the buffers and the place for the result, before anything happens.
pub(crate) fn vector<M: Memory + ?Sized>(
    memory: &M,
    iovs: u32,
    iovs_len: u32,
    result: u32,
) -> Result<Vector> {
    memory::check(memory, Span::new(result, 4))?;
    Vector::check(memory, iovs, iovs_len)
}

/// The file behind a descriptor, for access at an offset. `SPIPE` for a source, `BADF` for the rest.
fn file_at(descriptor: &Descriptor) -> Result<Node> {
    match descriptor.kind {
        Kind::File { node, .. } => Ok(node),
        Kind::Source(_) => Err(Error::SPIPE),
        _ => Err(Error::BADF),
    }
}

/// Reads a description from a place on, in as many steps as there are.
fn read_info(info: &Info, mut at: u64) -> impl FnMut(&mut [&mut [u8]]) -> Result<usize> {
    move |buffers| {
        let got = info.read_at(at, buffers);
        at = at.saturating_add(got as u64);
        Ok(got)
    }
}

/// Writes at `offset`, or at the end with `APPEND`. Returns the bytes written and the place after them.
fn write(vfs: &mut Vfs, node: Node, offset: u64, flags: u16, buffers: &[&[u8]]) -> Result<(usize, u64)> {
    if flags & fdflags::APPEND != 0 {
        return vfs.append(node, buffers);
    }
    let taken = vfs.write_at(node, offset, buffers)?;
    Ok((taken, offset.saturating_add(taken as u64)))
}

/// Keeps what `SYNC` and `DSYNC` promise.
fn sync(vfs: &mut Vfs, node: Node, flags: u16) -> Result<()> {
    if flags & fdflags::SYNC != 0 {
        vfs.sync(node, SyncKind::All)
    } else if flags & fdflags::DSYNC != 0 {
        vfs.sync(node, SyncKind::Data)
    } else {
        Ok(())
    }
}

/// Fills the buffers with what is there. Of a stream, and with `peek`, only the first one: a second question could find
/// nothing, keep a person waiting who has already typed a line, or give the same bytes again.
pub(crate) fn receive<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    source: Source,
    vector: Vector,
    peek: bool,
) -> Result<u32> {
    let once = peek || matches!(source, Source::Stream(_));
    let mut asked = false;
    memory::scatter(call.memory, &call.process.memory, vector, |buffers| {
        transfer(buffers, |buffer| {
            if once && core::mem::replace(&mut asked, true) {
                return Ok(0);
            }
            match source {
                Source::Stream(stream) => call.host.stream_read(stream, buffer),
                Source::Socket(socket) => call.host.receive(socket, buffer, peek),
                Source::Listener(_) => Err(Error::BADF),
            }
        })
    })
}

/// Writes until the host takes no more.
pub(crate) fn send<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    source: Source,
    vector: Vector,
) -> Result<u32> {
    memory::gather(call.memory, &call.process.memory, vector, |buffers| {
        transfer(buffers, |buffer| match source {
            Source::Stream(stream) => call.host.stream_write(stream, buffer),
            Source::Socket(socket) => call.host.send(socket, buffer),
            Source::Listener(_) => Err(Error::BADF),
        })
    })
}

/// Does something with each buffer until one is not used up, and returns the bytes in all. An error counts only when
/// nothing was done before it.
fn transfer<B: AsRef<[u8]>>(
    buffers: impl IntoIterator<Item = B>,
    mut each: impl FnMut(B) -> Result<usize>,
) -> Result<usize> {
    let mut sum = 0;
    for buffer in buffers {
        let len = buffer.as_ref().len();
        let done = match each(buffer) {
            Ok(done) => done.min(len),
            Err(error) if sum == 0 => return Err(error),
            Err(_) => break,
        };
        sum += done;
        if done < len {
            break;
        }
    }
    Ok(sum)
}

/// Turns "not now" into a wait, unless the descriptor is non-blocking.
pub(crate) fn or_wait<M: ?Sized, H: ?Sized, T>(
    call: &mut Call<'_, M, H>,
    result: Result<T>,
    source: Source,
    interest: Interest,
    nonblocking: bool,
) -> Step<T> {
    match result {
        Err(Error::AGAIN) if !nonblocking => {
            Err(Stop::Wait(call.process.wait_for(None, [(source, interest)])))
        }
        result => Ok(result?),
    }
}
