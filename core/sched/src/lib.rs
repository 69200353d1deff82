//! The run queue: which task runs next, for how long, and what each has used against its weight.
#![no_std]
#![forbid(unsafe_code)]
