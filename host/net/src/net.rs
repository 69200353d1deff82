//! What all apps of a process share on their way out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use qyv_vfs::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::failure::error_of;
use crate::resolver::Resolver;
use crate::tls::{Roots, Tls};

/// Names that are looked up at one time, for all apps of the process. One that hangs holds its place until it is over, even
/// when nobody waits for it any more.
const LOOK_UPS_MAX: usize = 8;

/// Addresses of one name that are used, the first ones.
const ADDRESSES_MAX: usize = 16;

/// How long the resolver has for a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a host has to take a connection, all its addresses together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one address has to answer, when there are others.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that the kernel keeps of a connection each way, so that an app's connections cannot fill its memory. (It counts
/// twice as much, and has a limit of its own.)
const KERNEL_BUFFER_BYTES: u32 = 256 << 10;

/// How long others have to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The resolver, for a name.
    pub(crate) resolve: Duration,
    /// A host, to take a connection: all its addresses together.
    pub(crate) connect: Duration,
}

/// What all apps of a process share on their way out.
pub struct Net {
    pub(crate) patience: Patience,
    pub(crate) tls: Tls,
    reactor: Handle,
    resolver: Arc<dyn Resolver>,
    look_ups: Arc<Semaphore>,
}

impl Net {
    /// `reactor` is where everything that takes time runs; threads that resolve names are started by its threads. `roots` are
    /// for requests over TLS.
    #[must_use]
    pub fn new(reactor: Handle, resolver: impl Resolver, roots: Roots) -> Arc<Self> {
        let patience = Patience { resolve: RESOLVE_TIMEOUT, connect: CONNECT_TIMEOUT };
        Self::with_patience(reactor, resolver, roots, patience)
    }

    pub(crate) fn with_patience(
        reactor: Handle,
        resolver: impl Resolver,
        roots: Roots,
        patience: Patience,
    ) -> Arc<Self> {
        let look_ups = Arc::new(Semaphore::new(LOOK_UPS_MAX));
        Arc::new(Self { patience, tls: Tls::new(roots), reactor, resolver: Arc::new(resolver), look_ups })
    }

    pub(crate) fn reactor(&self) -> &Handle {
        &self.reactor
    }

    /// The addresses of a name, each once. `own` bounds those that one app looks up at one time.
    pub(crate) async fn resolve(&self, own: &Arc<Semaphore>, name: &str) -> Result<Vec<IpAddr>, Error> {
        let own = Arc::clone(own).acquire_owned().await.map_err(|_| Error::IO)?;
        let shared = Arc::clone(&self.look_ups).acquire_owned().await.map_err(|_| Error::IO)?;
        let (resolver, name) = (Arc::clone(&self.resolver), name.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let found = resolver.resolve(&name);
            drop((own, shared));
            found
        });
        let mut addresses = Vec::new();
        for address in found.await.map_err(|_| Error::IO)?.map_err(|_| Error::NOENT)? {
            let address = address.to_canonical();
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err(Error::NOENT) } else { Ok(addresses) }
    }
}

/// Connects to the first of these addresses that takes the connection; what the last one said when none does.
pub(crate) async fn connect_first(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Error> {
    let mut failure = Error::NOENT;
    for (number, address) in addresses.iter().enumerate() {
        let attempt = connect(*address);
        let result = if number + 1 < addresses.len() {
            match tokio::time::timeout(ATTEMPT_TIMEOUT, attempt).await {
                Ok(result) => result.map_err(|error| error_of(&error)),
                Err(_) => Err(Error::TIMEDOUT),
            }
        } else {
            attempt.await.map_err(|error| error_of(&error))
        };
        match result {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
