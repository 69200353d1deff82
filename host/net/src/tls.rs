//! Whom requests over TLS trust.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use qyv_svc::outbound::Host;

use crate::http::Fault;

/// The variable that names a file of certificates to trust, as in other programs.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// The largest such file, in bytes: a whole system's certificates have 250 KiB.
const ROOTS_BYTES_MAX: u64 = 8 << 20;

/// The authorities whose certificates are trusted.
#[derive(Clone, Debug, Default)]
pub struct Roots(Option<Vec<u8>>);

impl Roots {
    /// Those that Mozilla trusts, which come with this program.
    #[must_use]
    pub fn mozilla() -> Self {
        Self::default()
    }

    /// Those of a file in PEM, instead of Mozilla's. They are not looked at yet.
    #[must_use]
    pub fn from_pem(pem: Vec<u8>) -> Self {
        Self(Some(pem))
    }

    /// Those of the file that `SSL_CERT_FILE` names; without it, Mozilla's.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is larger than 8 MiB.
    pub fn of_environment() -> io::Result<Self> {
        let Some(path) = std::env::var_os(ROOTS_VARIABLE).filter(|path| !path.is_empty()) else {
            return Ok(Self::mozilla());
        };
        let path = Path::new(&path);
        let told = |error: io::Error| {
            let why = format!("cannot read `{}`, which `{ROOTS_VARIABLE}` names: {error}", path.display());
            io::Error::new(error.kind(), why)
        };
        if std::fs::metadata(path).map_err(told)?.len() > ROOTS_BYTES_MAX {
            return Err(told(io::Error::other("it is larger than 8 MiB")));
        }
        std::fs::read(path).map(Self::from_pem).map_err(told)
    }

    fn store(&self) -> Result<RootCertStore, String> {
        let Some(pem) = &self.0 else {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() });
        };
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        if store.is_empty() {
            return Err(format!("the file that `{ROOTS_VARIABLE}` names has no certificate of an authority"));
        }
        Ok(store)
    }
}

/// The client's side of TLS, made when it is first needed.
pub(crate) struct Tls {
    roots: Roots,
    connector: OnceLock<Result<TlsConnector, String>>,
}

impl Tls {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots, connector: OnceLock::new() }
    }

    /// Makes sure that the other side is `host`.
    pub(crate) async fn connect(
        &self,
        host: &Host,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let connector = self.connector.get_or_init(|| connector(&self.roots)).clone().map_err(Fault::Tls)?;
        let name = match host {
            Host::Number(number) => ServerName::IpAddress((*number).into()),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Fault::Uri)?,
        };
        connector.connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(why)) => Fault::Certificate(why.to_string()),
                Some(other) => Fault::Tls(other.to_string()),
                None => Fault::Terminated,
            }
        })
    }
}

fn connector(roots: &Roots) -> Result<TlsConnector, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots.store()?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Apps share this: a session of one is none of another's.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}
