//! Sockets: connections that were dialled in `/svc` or accepted, and listeners that were given at start.
//!
//! The calls on a connection are not for a listener, nor the other way round: as everywhere, what a descriptor never
//! allowed is `BADF`. Whatever else is open is `NOTSOCK`.

use alloc::format;

use qyv_vfs::{Error, Result};

use crate::abi::{self, fdflags, riflags, rights, sdflags};
use crate::calls::Call;
use crate::denial::Right;
use crate::io::{or_wait, receive, send, vector};
use crate::memory::{self, Span, Vector};
use crate::outcome::{Step, Stop};
use crate::resume::{Received, Resume};
use crate::table::{Descriptor, Kind};
use crate::{Direction, Host, Interest, Listener, Memory, Process, Socket, Source};

impl Process {
    /// A socket that has this right, with its `fdflags`. `BADF` when it is not open, `NOTSOCK` when it is something else.
    fn socket(&self, fd: u32, right: u64) -> Result<(Source, u16)> {
        let descriptor = self.table.get(fd)?;
        let Kind::Source(source @ (Source::Socket(_) | Source::Listener(_))) = descriptor.kind else {
            return Err(Error::NOTSOCK);
        };
        descriptor.require(right)?;
        Ok((source, descriptor.flags))
    }

    /// As [`socket`](Self::socket) for a connection.
    fn connection(&self, fd: u32, right: u64) -> Result<(Socket, u16)> {
        match self.socket(fd, right)? {
            (Source::Socket(socket), flags) => Ok((socket, flags)),
            _ => Err(Error::BADF),
        }
    }

    /// As [`socket`](Self::socket) for a listener, with the rights that it passes on.
    fn listener(&self, fd: u32) -> Result<(Listener, u16, u64)> {
        match self.socket(fd, rights::SOCK_ACCEPT)? {
            (Source::Listener(listener), flags) => Ok((listener, flags, self.table.get(fd)?.inheriting)),
            _ => Err(Error::BADF),
        }
    }
}

/// The flags are those of the new descriptor. What is no socket is recorded as a denial: a server that was given no
/// listening socket ends here.
pub(crate) fn sock_accept<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    flags: u32,
    accepted_fd: u32,
) -> Step<()> {
    let process = &mut *call.process;
    if process.socket(fd, 0).is_err() {
        process.denials.record("sock_accept", format!("descriptor {fd}"), Right::Listen);
    }
    let (listener, own, inherited) = process.listener(fd)?;
    let flags = abi::flags(flags, fdflags::ALL)? & fdflags::SOCKET;
    memory::check(call.memory, Span::new(accepted_fd, 4))?;
    // First the number, so that nobody is accepted who cannot be served.
    process.table.reserve()?;
    let socket = call.host.accept(listener);
    let nonblocking = own & fdflags::NONBLOCK != 0;
    let accepted = or_wait(call, socket, Source::Listener(listener), Interest::Read, nonblocking);
    if accepted.is_err() {
        call.process.table.release();
    }
    let socket = accepted?;
    let rights = inherited & (rights::SOCKET | rights::FD_READ | rights::FD_WRITE);
    let descriptor = Descriptor::new(Kind::Source(Source::Socket(socket)), rights, 0, flags);
    let accepted = call.process.table.insert(descriptor)?;
    Ok(memory::put_u32(call.memory, accepted_fd, accepted)?)
}

/// `WAITALL` waits until the buffers are full, the end or a failure; not on a non-blocking descriptor and not with
/// `PEEK`, which gives what is there. Nothing is ever truncated, so the flags returned are 0.
pub(crate) fn sock_recv<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    ri_data: u32,
    ri_data_len: u32,
    ri_flags: u32,
    ro_datalen: u32,
    ro_flags: u32,
) -> Step<()> {
    let (socket, own) = call.process.connection(fd, rights::FD_READ)?;
    let flags = abi::flags(ri_flags, riflags::ALL)?;
    memory::check(call.memory, Span::new(ro_flags, 2))?;
    let vector = vector(call.memory, ri_data, ri_data_len, ro_datalen)?;
    let (source, nonblocking) = (Source::Socket(socket), own & fdflags::NONBLOCK != 0);
    let got = if flags == riflags::WAITALL && !nonblocking {
        receive_all(call, source, vector, [fd, ri_data, ri_data_len, ri_flags])?
    } else {
        let got = receive(call, source, vector, flags & riflags::PEEK != 0);
        or_wait(call, got, source, Interest::Read, nonblocking)?
    };
    call.memory.write(ro_flags, &0u16.to_le_bytes())?;
    Ok(memory::put_u32(call.memory, ro_datalen, got)?)
}

/// Receives until the buffers are full. What came before a failure is given first; the failure comes again.
fn receive_all<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    source: Source,
    vector: Vector,
    arguments: [u32; 4],
) -> Step<u32> {
    let before = match call.process.resume.take() {
        Some(Resume::Receive(received)) if received.arguments == arguments => received.bytes,
        _ => 0,
    };
    let rest = vector.after(call.memory, before)?;
    let bytes = match receive(call, source, rest, false) {
        Ok(got) if got == 0 || got >= rest.total() => return Ok(before.saturating_add(got)),
        Ok(got) => before.saturating_add(got),
        Err(Error::AGAIN) => before,
        Err(_) if before != 0 => return Ok(before),
        Err(error) => return Err(error.into()),
    };
    call.process.resume = Some(Resume::Receive(Received { arguments, bytes }));
    Err(Stop::Wait(call.process.wait_for(None, [(source, Interest::Read)])))
}

/// There are no flags yet: `INVAL` for any.
pub(crate) fn sock_send<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    si_data: u32,
    si_data_len: u32,
    si_flags: u32,
    so_datalen: u32,
) -> Step<()> {
    let (socket, own) = call.process.connection(fd, rights::FD_WRITE)?;
    abi::flags(si_flags, 0)?;
    let vector = vector(call.memory, si_data, si_data_len, so_datalen)?;
    let source = Source::Socket(socket);
    let taken = send(call, source, vector);
    let taken = or_wait(call, taken, source, Interest::Write, own & fdflags::NONBLOCK != 0)?;
    Ok(memory::put_u32(call.memory, so_datalen, taken)?)
}

/// `INVAL` for no way at all.
pub(crate) fn sock_shutdown<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    how: u32,
) -> Result<()> {
    let (socket, _) = call.process.connection(fd, rights::SOCK_SHUTDOWN)?;
    let direction = match abi::flags(how, sdflags::ALL)? {
        sdflags::RD => Direction::Receive,
        sdflags::WR => Direction::Send,
        sdflags::ALL => Direction::Both,
        _ => return Err(Error::INVAL),
    };
    call.host.shutdown(socket, direction)
}
