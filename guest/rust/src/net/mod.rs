//! Connections to services, and listeners for what the app itself offers.
//!
//! # Dialling
//!
//! The manifest asks for the service:
//!
//! ```yaml
//! permissions: { net: { connect: ["service://logger"] } }
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), qyv::Error> {
//! let words = qyv::net::try_connect("service://words").await?;
//! words.send("how many words are these").await?;
//! while let Some(answer) = words.recv_text().await? {
//!     println!("{answer}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Serving
//!
//! The manifest offers it: `services: [{ name: words }]`.
//!
//! ```no_run
//! # async fn example() -> Result<(), qyv::Error> {
//! let listener = qyv::net::listen("words")?;
//! loop {
//!     let client = listener.accept().await?;
//!     qyv::spawn(async move {
//!         while let Ok(Some(line)) = client.recv_text().await {
//!             let count = line.split_whitespace().count();
//!             if client.send(count.to_string()).await.is_err() {
//!                 break;
//!             }
//!         }
//!     });
//! }
//! # }
//! ```
//!
//! # Messages
//!
//! [`send`](Connection::send) and [`recv`](Connection::recv) follow the protocol of the service, its `proto` in the manifest: lines
//! of UTF-8 (the default), frames of any bytes, or a stream. Who dials is told which by the host; who listens says it
//! with [`Listener::framing`]. A line or frame has at most 16 MiB.

mod address;

mod connect;

mod connection;

mod description;

mod listener;

mod socket;

pub use connect::{Connect, TryConnect, connect, try_connect};
pub use connection::Connection;
#[cfg(all(target_os = "wasi", target_env = "p1"))]
pub(crate) use listener::listener_of;
pub use listener::{Listener, listen};
pub use qyv_svc::protocol::{Framing, MESSAGE_BYTES_MAX, Malformed};

#[cfg(test)]
mod tests;
