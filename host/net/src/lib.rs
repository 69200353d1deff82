//! The way of apps to the network outside, the same under `qyvol run` and in workers.
//!
//! What may be reached is decided by [`qyv_svc::outbound`]; this crate asks it, twice a connection: before a name is looked
//! up, and about each address that came of it. The address that was allowed is the one that is dialled. Names are looked up
//! as the host does it ([`SystemResolver`]), a few at a time.
//!
//! Principles, in this order:
//!
//! 1. Nothing leaves that was not granted at that moment, and what is taken back ends what goes on.
//! 2. An app has a bounded number of connections, with bounded buffers, and each attempt ends in bounded time. It cannot
//!    take the resolver from others.
//! 3. No call waits: what takes time runs on the reactor, and the app is woken.

#![cfg(unix)]

mod failure;
pub mod http;
mod net;
mod outside;
mod outward;
mod pending;
mod resolver;
mod stream;
mod tls;

pub use net::Net;
pub use outside::Outside;
pub use outward::Outward;
pub use resolver::{RESOLVER_FILES, RESOLVER_FOLDER, Resolver, SystemResolver};
pub use tls::Roots;

#[cfg(test)]
mod tests;
