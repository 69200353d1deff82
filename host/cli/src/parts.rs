//! The other parts that this program plays: processes that it starts of itself. Each does nothing else, and its arguments
//! are none of a person's.

use std::process::ExitCode;

use qyvol_protocol::followed::FOLLOWED_ARGUMENT;
use qyvol_protocol::worker::{PREPARE_ARGUMENT, WORKER_ARGUMENT};

use crate::cli::COMPILE_ARGUMENT;

/// Plays the part that the first argument names, if it names one.
pub(crate) fn play() -> Option<ExitCode> {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).filter_map(|text| text.into_string().ok()).collect();
    let (first, rest) = arguments.split_first()?;
    match first.as_str() {
        COMPILE_ARGUMENT => Some(qyvol_engine::compile::child::main(rest)),
        PREPARE_ARGUMENT => Some(qyvol_worker::prepare(rest, COMPILE_ARGUMENT)),
        FOLLOWED_ARGUMENT => Some(crate::followed::main()),
        WORKER_ARGUMENT => Some(qyvol_worker::main(rest)),
        _ => None,
    }
}
