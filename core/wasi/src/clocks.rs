//! Clocks, random numbers, and the two calls about the process itself.

use qyv_vfs::{Error, Result};

use crate::calls::Call;
use crate::limits::{RANDOM_BYTES_AT_ONCE, RANDOM_BYTES_MAX};
use crate::memory::{self, Span};
use crate::{Host, Memory, abi};

pub(crate) fn clock_res_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    id: u32,
    resolution: u32,
) -> Result<()> {
    let value = call.host.clock_resolution(abi::clock(id)?)?;
    memory::put_u64(call.memory, resolution, value)
}

/// `precision` is the lag that the guest would accept; every host reads its clock anew.
pub(crate) fn clock_time_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<()> {
    let value = call.host.clock_now(abi::clock(id)?)?;
    memory::put_u64(call.memory, time, value)
}

/// `INVAL` above [`RANDOM_BYTES_MAX`]: a host cannot interrupt this call.
pub(crate) fn random_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    buf: u32,
    buf_len: u32,
) -> Result<()> {
    memory::check(call.memory, Span::new(buf, buf_len))?;
    if buf_len > RANDOM_BYTES_MAX {
        return Err(Error::INVAL);
    }
    let mut piece = [0; RANDOM_BYTES_AT_ONCE];
    let (mut at, mut left) = (buf, buf_len as usize);
    while left != 0 {
        let piece = piece.get_mut(..left.min(RANDOM_BYTES_AT_ONCE)).unwrap_or_default();
        call.host.random(piece)?;
        call.memory.write(at, piece)?;
        at = at.saturating_add(piece.len() as u32);
        left -= piece.len();
    }
    Ok(())
}

pub(crate) fn sched_yield<M: Memory + ?Sized, H: Host + ?Sized>(call: &mut Call<'_, M, H>) -> Result<()> {
    call.host.yield_now();
    Ok(())
}

/// `NOTSUP`, as in other preview-1 hosts: there are no signals, and `abort` of every libc traps instead.
pub(crate) fn proc_raise<M: Memory + ?Sized, H: Host + ?Sized>(
    _call: &mut Call<'_, M, H>,
    _signal: u32,
) -> Result<()> {
    Err(Error::NOTSUP)
}
