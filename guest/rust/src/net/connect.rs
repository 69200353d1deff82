//! Dialling.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use qyv_svc::protocol::Framing;

use super::connection::Connection;
use super::socket::Socket;
use super::{address, description};
use crate::error::{Error, Result};
use crate::sys;

/// Dials a service, `service://name` or `service://name/port`.
///
/// It always gives a [`Connection`]. When the service cannot be reached the connection keeps that failure for whoever sends
/// or receives next; [`try_connect`] gives a `Result` instead. A failure that nobody looks at is written to standard error.
pub fn connect(address: impl Into<String>) -> Connect {
    Connect(try_connect(address))
}

/// Dials a service, `service://name` or `service://name/port`, and says at once when it cannot be reached.
///
/// # Errors
///
/// Once awaited: that of the dial, or [`ErrorKind::NoProtocol`](crate::ErrorKind::NoProtocol) when the host does not say how the messages of
/// the service are told apart.
pub fn try_connect(address: impl Into<String>) -> TryConnect {
    TryConnect { address: address.into(), framing: None, dialling: None }
}

/// A future: what [`connect`] returns.
#[derive(Debug)]
#[must_use = "nothing is dialled until it is awaited or waited for"]
pub struct Connect(TryConnect);

/// A future: what [`try_connect`] returns.
#[must_use = "nothing is dialled until it is awaited or waited for"]
pub struct TryConnect {
    address: String,
    framing: Option<Framing>,
    dialling: Option<Pin<Box<dyn Future<Output = Result<Connection>>>>>,
}

impl Connect {
    /// Says how messages are told apart, whatever the host says of the service.
    pub fn framing(self, framing: Framing) -> Self {
        Self(self.0.framing(framing))
    }
}

impl TryConnect {
    /// Says how messages are told apart, whatever the host says of the service.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = Some(framing);
        self
    }
}

impl Future for Connect {
    type Output = Connection;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Connection> {
        let result = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(result.unwrap_or_else(|error| Connection::failed(error.address(), error.kind())))
    }
}

impl Future for TryConnect {
    type Output = Result<Connection>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Connection>> {
        let this = &mut *self;
        let begin = || Box::pin(dial(this.address.clone(), this.framing)) as _;
        this.dialling.get_or_insert_with(begin).as_mut().poll(context)
    }
}

impl fmt::Debug for TryConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryConnect").field("address", &self.address).field("framing", &self.framing).finish()
    }
}

async fn dial(text: String, framing: Option<Framing>) -> Result<Connection> {
    let failed = |kind| Error::new(kind, &text);
    let address = address::parse(&text).map_err(failed)?;
    let dialled = async {
        let socket = Socket::new(sys::dial(address.name, address.port)?);
        // The dial's own error says more than that of the description, so it comes first.
        socket.decided().await?;
        let framing = framing.map_or_else(|| description::framing(address), Ok)?;
        Ok((socket, framing))
    };
    match dialled.await {
        Ok((socket, framing)) => Ok(Connection::new(&text, socket, framing)),
        Err(kind) => {
            description::forget(address.name);
            Err(failed(kind))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{connect, try_connect};
    use crate::{ErrorKind, Wait};

    #[test]
    fn a_connection_keeps_its_failure() {
        let conn = connect("service://logger").wait();
        for _ in 0..2 {
            assert_eq!(conn.send("x").wait().unwrap_err().kind(), ErrorKind::NoServices);
            assert_eq!(conn.recv().wait().unwrap_err().kind(), ErrorKind::NoServices);
        }
        assert_eq!(conn.address(), "service://logger");
    }

    #[test]
    fn a_result_says_it_at_once() {
        assert_eq!(try_connect("service://logger").wait().unwrap_err().kind(), ErrorKind::NoServices);
        assert_eq!(try_connect("logger").wait().unwrap_err().kind(), ErrorKind::BadAddress);
    }
}
