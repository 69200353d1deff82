//! The life of apps as a state machine: events in, actions out.
#![no_std]
#![forbid(unsafe_code)]
