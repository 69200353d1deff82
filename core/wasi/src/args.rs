//! `args_*` and `environ_*`: strings given at start.

use alloc::string::String;
use alloc::vec::Vec;

use qyv_vfs::{Error, Result};

use crate::calls::Call;
use crate::limits::{STRINGS_BYTES_MAX, STRINGS_MAX};
use crate::memory::{self, Span};
use crate::{Host, Memory};

/// Strings as the guest gets them: one after the other, each with a NUL at its end.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    /// `INVAL` when a string holds a NUL, `OVERFLOW` when they pass a limit.
    pub(crate) fn new(strings: &[String]) -> Result<Self> {
        let total = strings.iter().try_fold(0usize, |sum, string| sum.checked_add(string.len() + 1));
        if strings.len() > STRINGS_MAX || total.is_none_or(|total| total > STRINGS_BYTES_MAX) {
            return Err(Error::OVERFLOW);
        }
        let mut all = Self::default();
        for string in strings {
            if string.contains('\0') {
                return Err(Error::INVAL);
            }
            all.starts.push(all.bytes.len() as u32);
            all.bytes.extend_from_slice(string.as_bytes());
            all.bytes.push(0);
        }
        Ok(all)
    }

    /// The strings without their NULs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        // All of them were `String`s.
        let all = core::str::from_utf8(&self.bytes).unwrap_or_default();
        all.split_terminator('\0')
    }

    fn sizes<M: Memory + ?Sized>(&self, memory: &mut M, count: u32, bytes: u32) -> Result<()> {
        memory::check(memory, Span::new(count, 4))?;
        memory::check(memory, Span::new(bytes, 4))?;
        memory::put_u32(memory, count, self.starts.len() as u32)?;
        memory::put_u32(memory, bytes, self.bytes.len() as u32)
    }

    fn give<M: Memory + ?Sized>(&self, memory: &mut M, pointers: u32, buffer: u32) -> Result<()> {
        memory::check_array(memory, pointers, self.starts.len() as u32, 4)?;
        memory::check(memory, Span::new(buffer, self.bytes.len() as u32))?;
        memory.write(buffer, &self.bytes)?;
        for (index, start) in self.starts.iter().enumerate() {
            let string = memory::element(buffer, *start, 1)?;
            memory::put_u32(memory, memory::element(pointers, index as u32, 4)?, string)?;
        }
        Ok(())
    }
}

pub(crate) fn args_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    argv: u32,
    argv_buf: u32,
) -> Result<()> {
    call.process.args.give(call.memory, argv, argv_buf)
}

pub(crate) fn args_sizes_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    argc: u32,
    argv_buf_size: u32,
) -> Result<()> {
    call.process.args.sizes(call.memory, argc, argv_buf_size)
}

pub(crate) fn environ_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    environ: u32,
    environ_buf: u32,
) -> Result<()> {
    call.process.environ.give(call.memory, environ, environ_buf)
}

pub(crate) fn environ_sizes_get<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    environc: u32,
    environ_buf_size: u32,
) -> Result<()> {
    call.process.environ.sizes(call.memory, environc, environ_buf_size)
}
