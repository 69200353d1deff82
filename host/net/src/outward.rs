//! What an instance holds of the network outside, as [`qyv_wasi::Host`] has it: connections and look-ups.

use std::net::IpAddr;
use std::task::Waker;

use qyv_vfs::{Charge, Error, Result};
use qyv_wasi::{Direction, Interest, Readiness};
use tokio::sync::OwnedSemaphorePermit;

use crate::failure::Failure;
use crate::pending::Pending;
use crate::stream::Stream;

/// A connection to the network outside, or a look-up of a name there. Dropping it closes it in order.
pub struct Outward(Kind);

enum Kind {
    Stream(Box<Stream>),
    LookUp(LookUp),
}

/// A name that is looked up.
pub(crate) struct LookUp {
    pending: Pending<std::result::Result<Vec<IpAddr>, Failure>>,
    _begun: OwnedSemaphorePermit,
    _charge: Charge,
}

impl LookUp {
    pub(crate) fn new(
        pending: Pending<std::result::Result<Vec<IpAddr>, Failure>>,
        begun: OwnedSemaphorePermit,
        charge: Charge,
    ) -> Self {
        Self { pending, _begun: begun, _charge: charge }
    }

    fn addresses(&self) -> Result<&[IpAddr]> {
        match self.pending.get() {
            None => Err(Error::AGAIN),
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(failure)) => Err(failure.error),
        }
    }
}

impl From<Stream> for Outward {
    fn from(stream: Stream) -> Self {
        Self(Kind::Stream(Box::new(stream)))
    }
}

impl From<LookUp> for Outward {
    fn from(look_up: LookUp) -> Self {
        Self(Kind::LookUp(look_up))
    }
}

/// The calls of [`qyv_wasi::Host`] with the same names; none of them waits.
impl Outward {
    /// Whether it is connected, or looked up.
    ///
    /// # Errors
    ///
    /// `AGAIN` while it is not known, or how it failed.
    pub fn connected(&mut self) -> Result<()> {
        match &mut self.0 {
            Kind::Stream(stream) => stream.connected(),
            Kind::LookUp(look_up) => look_up.addresses().map(drop),
        }
    }

    /// What was looked up.
    ///
    /// # Errors
    ///
    /// As for [`connected`](Self::connected); `NOTSOCK` for a connection.
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        match &self.0 {
            Kind::Stream(_) => Err(Error::NOTSOCK),
            Kind::LookUp(look_up) => look_up.addresses().map(<[IpAddr]>::to_vec),
        }
    }

    /// After `ACCES`: what should have been granted.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let failure = match &self.0 {
            Kind::Stream(stream) => stream.failure(),
            Kind::LookUp(look_up) => look_up.pending.get().and_then(|result| result.as_ref().err()),
        };
        failure?.missing.as_ref().map(ToString::to_string)
    }

    /// Receives at most `into.len()` bytes.
    ///
    /// # Errors
    ///
    /// `AGAIN` when there are none yet, or how the connection failed.
    pub fn receive(&mut self, into: &mut [u8], peek: bool) -> Result<usize> {
        self.stream()?.receive(into, peek)
    }

    /// Sends at most `from.len()` bytes.
    ///
    /// # Errors
    ///
    /// `AGAIN` when none fits yet, or how the connection failed.
    pub fn send(&mut self, from: &[u8]) -> Result<usize> {
        self.stream()?.send(from)
    }

    /// Ends these ways.
    ///
    /// # Errors
    ///
    /// `NOTSOCK` for a look-up.
    pub fn shutdown(&mut self, ways: Direction) -> Result<()> {
        self.stream()?.shutdown(ways);
        Ok(())
    }

    /// Whether it is ready; if not, `waker` is woken when it may be.
    pub fn ready(&mut self, interest: Interest, waker: Option<&Waker>) -> Option<Readiness> {
        match &mut self.0 {
            Kind::Stream(stream) => stream.ready(interest, waker),
            Kind::LookUp(look_up) => {
                look_up.pending.get_or_wake(waker).map(|_| Readiness { bytes: 0, hangup: true })
            }
        }
    }

    /// The app died: the other side hears of it, and what was not sent yet never is.
    pub fn reset(&mut self) {
        if let Kind::Stream(stream) = &mut self.0 {
            stream.reset();
        }
    }

    fn stream(&mut self) -> Result<&mut Stream> {
        match &mut self.0 {
            Kind::Stream(stream) => Ok(stream),
            Kind::LookUp(_) => Err(Error::NOTSOCK),
        }
    }
}
