//! Reading and writing: files at an offset, streams as they come.

use qyv_vfs::{Error, Node, Result, SyncKind, Vfs};

use crate::abi::{fdflags, rights};
use crate::calls::Call;
use crate::file::position;
use crate::memory::{self, Span, Vector};
use crate::outcome::{Step, Stop};
use crate::table::Kind;
use crate::{Host, Interest, Memory, Stream};

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
        Kind::Stream(stream) => {
            let stream = *stream;
            let got = read_stream(call, stream, vector);
            or_wait(call, got, stream, Interest::Read, nonblocking)?
        }
        Kind::Directory { .. } | Kind::ClosedRoot { .. } => return Err(Error::BADF.into()),
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
    let node = file_at(call, fd, rights::FD_READ)?.0;
    let vector = vector(call.memory, iovs, iovs_len, nread)?;
    let mut at = position(offset)?;
    let got = memory::scatter(call.memory, &call.process.memory, vector, |buffers| {
        let got = call.process.vfs.read_at(node, at, buffers)?;
        at = at.saturating_add(got as u64);
        Ok(got)
    })?;
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
        Kind::Stream(stream) => {
            let stream = *stream;
            let taken = write_stream(call, stream, vector);
            or_wait(call, taken, stream, Interest::Write, flags & fdflags::NONBLOCK != 0)?
        }
        Kind::Directory { .. } | Kind::ClosedRoot { .. } => return Err(Error::BADF.into()),
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
    let (node, flags) = file_at(call, fd, rights::FD_WRITE)?;
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
fn vector<M: Memory + ?Sized>(memory: &M, iovs: u32, iovs_len: u32, result: u32) -> Result<Vector> {
    memory::check(memory, Span::new(result, 4))?;
    Vector::check(memory, iovs, iovs_len)
}

/// The file behind a descriptor and its flags, for access at an offset. `SPIPE` for a stream, `BADF` for the rest.
fn file_at<M: ?Sized, H: ?Sized>(call: &Call<'_, M, H>, fd: u32, right: u64) -> Result<(Node, u16)> {
    let descriptor = call.process.table.get(fd)?;
    descriptor.require(right)?;
    match descriptor.kind {
        Kind::File { node, .. } => Ok((node, descriptor.flags)),
        Kind::Stream(_) => Err(Error::SPIPE),
        Kind::Directory { .. } | Kind::ClosedRoot { .. } => Err(Error::BADF),
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

/// Asks the host once, for the first buffer: a second question could find nothing, or keep a person waiting who has
/// already typed a line.
fn read_stream<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    stream: Stream,
    vector: Vector,
) -> Result<u32> {
    let mut asked = false;
    memory::scatter(call.memory, &call.process.memory, vector, |buffers| match buffers.first_mut() {
        Some(buffer) if !core::mem::replace(&mut asked, true) => {
            let got = call.host.stream_read(stream, buffer)?;
            Ok(got.min(buffer.len()))
        }
        _ => Ok(0),
    })
}

/// Writes until the host takes no more.
fn write_stream<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    stream: Stream,
    vector: Vector,
) -> Result<u32> {
    memory::gather(call.memory, &call.process.memory, vector, |buffers| {
        let mut sum = 0;
        for buffer in buffers {
            let taken = match call.host.stream_write(stream, buffer) {
                Ok(taken) => taken.min(buffer.len()),
                Err(error) if sum == 0 => return Err(error),
                Err(_) => break,
            };
            sum += taken;
            if taken < buffer.len() {
                break;
            }
        }
        Ok(sum)
    })
}

/// Turns "not now" into a wait, unless the descriptor is non-blocking.
fn or_wait<M: ?Sized, H: ?Sized>(
    call: &mut Call<'_, M, H>,
    result: Result<u32>,
    stream: Stream,
    interest: Interest,
    nonblocking: bool,
) -> Step<u32> {
    match result {
        Err(Error::AGAIN) if !nonblocking => {
            Err(Stop::Wait(call.process.wait_for(None, [(stream, interest)])))
        }
        result => Ok(result?),
    }
}
