//! The service network: names, listeners, connections, and who may dial whom.
#![no_std]
#![forbid(unsafe_code)]
