//! Text to the standard streams, and the end of a failed program.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::{calls, raw};

static CASE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static CASE_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Remembers which function runs, for the message of a failure.
pub fn begin(case: &'static str) {
    CASE.store(case.as_ptr().cast_mut(), Ordering::Relaxed);
    CASE_LENGTH.store(case.len(), Ordering::Relaxed);
}

/// A stream by its descriptor; what cannot be written is dropped.
pub struct Stream(pub calls::Fd);

impl Write for Stream {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match calls::fd_write(self.0, rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

/// Writes a line to standard output.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use core::fmt::Write;
        let _ = writeln!($crate::report::Stream(1), $($text)*);
    }};
}

#[panic_handler]
fn failed(info: &PanicInfo<'_>) -> ! {
    let start = CASE.load(Ordering::Relaxed);
    let length = CASE_LENGTH.load(Ordering::Relaxed);
    let case = if start.is_null() {
        "start"
    } else {
        // SAFETY: `begin` stored the two halves of one `&'static str`, and there is one thread.
        unsafe { core::str::from_utf8_unchecked(core::slice::from_raw_parts(start, length)) }
    };
    let _ = writeln!(Stream(2), "FAILED {case}: {info}");
    // SAFETY: the call takes a number and does not return.
    unsafe { raw::proc_exit(1) };
    core::arch::wasm32::unreachable()
}
