//! The service network of one host: names, listeners, connections, and who may dial whom.
//!
//! It is plain data. It knows no transport, starts no thread, reads no clock and never waits: what cannot go on
//! answers `AGAIN`, and whoever registered a [`Waker`](core::task::Waker) is woken when it can. A service that another
//! process serves is a [`Route`], a number that means something to the host alone.
//!
//! * [`Network`] is the control plane: who offers which name, who may dial it, where it is served, who waits to be
//!   accepted. A host has one, behind one lock.
//! * [`outbound`] is what lies beyond: who may connect to which host, and which of its addresses.
//! * [`End`] is the data plane: one end of a [`Connection`], two bounded pipes behind a lock of their own (a [`Link`],
//!   which the host makes of whatever lock it has).
//! * [`protocol`] tells the messages on a connection apart; guests use it too.
//!
//! Principles, in this order:
//!
//! 1. What an app was not granted looks the same whether it exists or not.
//! 2. No wake-up is lost: readiness is looked at and a waker stored under one lock. No waker runs under a lock:
//!    [`Wakes`] carries them out.
//! 3. Bytes on their way are charged to the app that sent them, before they are stored: whoever floods another fills
//!    its own memory. A connection that is idle holds no buffer.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "network")]
mod network;

#[cfg(feature = "network")]
mod grants;

#[cfg(feature = "network")]
mod directory;

#[cfg(feature = "network")]
mod info;

#[cfg(feature = "network")]
mod listener;

#[cfg(feature = "network")]
mod end;

#[cfg(feature = "network")]
mod connection;

#[cfg(feature = "network")]
pub mod outbound;

#[cfg(feature = "network")]
mod pipe;

#[cfg(feature = "network")]
mod wakes;

pub mod protocol;

#[cfg(feature = "network")]
pub use connection::{CONNECTION_BYTES, Connection, Direction, Failure, Interest, Readiness};
#[cfg(feature = "network")]
pub use directory::{AppId, ClaimError, InstanceId, Provider, Route};
#[cfg(feature = "network")]
pub use end::{End, Link};
#[cfg(feature = "network")]
pub use grants::DialGrants;
#[cfg(feature = "network")]
pub use listener::{BACKLOG_MAX, ListenerId};
#[cfg(feature = "network")]
pub use network::{Bridge, Dial, Dialled, Network};
#[cfg(feature = "network")]
pub use pipe::PIPE_BYTES_MAX;
#[cfg(feature = "network")]
pub use wakes::Wakes;

#[cfg(test)]
extern crate std;
#[cfg(all(test, feature = "network"))]
mod tests;
