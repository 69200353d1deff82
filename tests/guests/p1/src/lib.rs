//! What the `p1_*` programs share: the preview-1 imports, thin typed calls over them, and a place to fail.
//!
//! There is no standard library here, so that a program imports exactly the functions it calls. That is what the
//! coverage check relies on: the imports of all `p1_*` programs together must be all of preview 1.
#![no_std]

pub mod calls;
pub mod raw;
pub mod report;
pub mod types;

pub use calls::*;
pub use types::*;

// The target's start code calls into the C library, which nothing else here would link.
#[link(name = "c")]
unsafe extern "C" {}

/// The first preopen, `/` in every case that grants files.
pub const ROOT: Fd = 3;

/// A descriptor that is never open in these programs.
pub const NO_FD: Fd = 4_000;

/// An address just outside every memory that these programs could have.
pub const BAD_POINTER: u32 = 0xffff_fff0;

/// Defines the program: runs the named functions in order.
#[macro_export]
macro_rules! main {
    ($($case:ident),+ $(,)?) => {
        #[unsafe(no_mangle)]
        extern "C" fn __main_void() -> i32 {
            $($crate::report::begin(stringify!($case)); $case();)+
            0
        }
    };
}
