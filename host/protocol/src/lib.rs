//! What the daemon says to its workers ([`worker`]), to its clients ([`api`]) and to the process that deploys the folder it
//! follows ([`followed`]), what workers say to clients ([`session`]), what programs ask of the system ([`system`]), and how messages with file descriptors go over a Unix
//! socket ([`channel`]).
//!
//! It is **not** the place of any behaviour: both sides of each conversation take their types from here, so that they
//! cannot differ, and each conversation begins with its version.

#![cfg(unix)]

pub mod api;
pub mod channel;
pub mod followed;
pub mod instance;
pub mod session;
pub mod system;
pub mod worker;

pub use instance::InstanceId;
