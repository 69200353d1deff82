//! Sockets. No network and no service is granted to any descriptor yet, so whatever is open is no socket.

use qyv_vfs::{Error, Result};

use crate::calls::Call;
use crate::denial::Right;
use crate::outcome::Step;
use crate::{Host, Memory};

use alloc::format;

/// `BADF` when it is not open, else `NOTSOCK`.
fn not_a_socket<M: ?Sized, H: ?Sized>(call: &Call<'_, M, H>, fd: u32) -> Result<()> {
    call.process.table.get(fd)?;
    Err(Error::NOTSOCK)
}

/// Recorded as a denial: a server that was given no listening socket ends here.
pub(crate) fn sock_accept<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    _flags: u32,
    _accepted_fd: u32,
) -> Step<()> {
    call.process.denials.record("sock_accept", format!("descriptor {fd}"), Right::Listen);
    Ok(not_a_socket(call, fd)?)
}

pub(crate) fn sock_recv<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    _ri_data: u32,
    _ri_data_len: u32,
    _ri_flags: u32,
    _ro_datalen: u32,
    _ro_flags: u32,
) -> Step<()> {
    Ok(not_a_socket(call, fd)?)
}

pub(crate) fn sock_send<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    _si_data: u32,
    _si_data_len: u32,
    _si_flags: u32,
    _so_datalen: u32,
) -> Step<()> {
    Ok(not_a_socket(call, fd)?)
}

pub(crate) fn sock_shutdown<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    fd: u32,
    _how: u32,
) -> Result<()> {
    not_a_socket(call, fd)
}
