//! The API over TCP, for clients on other hosts: only when asked, only over TLS 1.3, only with the token.
//!
//! What is not yet authenticated is bounded: how many connections there are, from one address too, how long they may take,
//! and how much may be said. The token is asked for before anything of a request's body is read.

mod keys;
mod serve;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

pub use keys::{new_token, token};
pub(crate) use serve::serve;

/// Where clients of other hosts are answered.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// The operator's certificate and its key, as files in PEM; `None` for those that the daemon makes itself.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A socket that is bound, and what is needed to answer on it.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) acceptor: TlsAcceptor,
    /// Where it really is, and the certificate's SHA-256, as `Info` has it.
    pub(crate) about: qyvol_protocol::api::Remote,
    pub(crate) folder: PathBuf,
}

/// Binds the address, with the token and the certificate in `folder`, which are made when they are missing.
pub(crate) fn bind(listen: &Listen, folder: &Path) -> Result<Bound, String> {
    token(folder)?;
    let identity = match &listen.certificate {
        Some((certificate, key)) => keys::of_operator(certificate, key)?,
        None => keys::own(folder, listen.address)?,
    };
    let certificate = identity.fingerprint();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(|error| format!("the certificate cannot be used: {error}"))?;
    let failed = |error: std::io::Error| format!("cannot listen at `{}`: {error}", listen.address);
    let listener = TcpListener::bind(listen.address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let about = qyvol_protocol::api::Remote { address, certificate };
    Ok(Bound { listener, acceptor: TlsAcceptor::from(Arc::new(config)), about, folder: folder.to_owned() })
}
