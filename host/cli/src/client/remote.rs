//! A daemon on another host: TLS to it, a certificate that is known beforehand, and the token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::{Failure, Result};
use crate::target::read_bounded;

/// Names the daemon, as `--host` does.
const HOST_VARIABLE: &str = "QYVOL_HOST";
/// Names the file with its token, as `--host-token` does.
const TOKEN_VARIABLE: &str = "QYVOL_HOST_TOKEN";
/// Names its certificate, as `--host-cert` does.
const CERTIFICATE_VARIABLE: &str = "QYVOL_HOST_CERT";

/// The most bytes of a token's file, and of certificates.
const TOKEN_BYTES_MAX: u64 = 4096;
const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;

/// Which daemon is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Choice {
    /// The daemon of another host, as in `https://10.0.0.5:7443` [env: `QYVOL_HOST`]
    #[arg(
        long = "host",
        id = "remote_host",
        value_name = "URL",
        global = true,
        hide_short_help = true,
        help_heading = "Daemon of another host"
    )]
    host: Option<String>,
    /// The file with its token [env: `QYVOL_HOST_TOKEN`]
    #[arg(
        long = "host-token",
        id = "remote_token",
        value_name = "FILE",
        global = true,
        hide_short_help = true,
        help_heading = "Daemon of another host"
    )]
    token: Option<PathBuf>,
    /// Its certificate: `sha256:` and the fingerprint, or a PEM file of those who may sign it [env: `QYVOL_HOST_CERT`]
    #[arg(
        long = "host-cert",
        id = "remote_certificate",
        value_name = "SHA256|FILE",
        global = true,
        hide_short_help = true,
        help_heading = "Daemon of another host"
    )]
    certificate: Option<String>,
}

/// What was chosen on the command line.
static CHOSEN: OnceLock<Choice> = OnceLock::new();

impl Choice {
    /// Lets every client of this process speak with that daemon.
    pub(crate) fn choose(self) {
        // Once a process.
        let _ = CHOSEN.set(self);
    }
}

/// A daemon of another host.
pub(super) struct Remote {
    /// As it was named.
    url: String,
    /// Host and port.
    pub(super) authority: String,
    name: ServerName<'static>,
    token: String,
    connector: TlsConnector,
}

impl Remote {
    /// The daemon that was chosen; `None` for that of this user, here.
    pub(super) fn chosen() -> Result<Option<Self>> {
        let typed = CHOSEN.get().cloned().unwrap_or_default();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(url) = typed.host.or_else(|| variable(HOST_VARIABLE)) else { return Ok(None) };
        let missing = |what: &str, option: &str, name: &str| {
            Failure::usage(format!("`{url}` needs {what}: `{option}`, or `{name}`"))
                .hint("`qyvol daemon token` on that host prints all three")
        };
        let token = typed.token.or_else(|| variable(TOKEN_VARIABLE).map(PathBuf::from));
        let token = token.ok_or_else(|| missing("its token", "--host-token FILE", TOKEN_VARIABLE))?;
        let certificate = typed.certificate.or_else(|| variable(CERTIFICATE_VARIABLE));
        let certificate = certificate
            .ok_or_else(|| missing("its certificate", "--host-cert SHA256|FILE", CERTIFICATE_VARIABLE))?;
        let (authority, host) = authority(&url)?;
        let bytes = read_bounded(&token, TOKEN_BYTES_MAX, "a token")?;
        let token = String::from_utf8(bytes).map_err(|_| Failure::refused("the token is not text"))?;
        let name =
            ServerName::try_from(host).map_err(|_| Failure::usage(format!("`{url}` names no host")))?;
        let connector = TlsConnector::from(Arc::new(config(&certificate)?));
        Ok(Some(Self { url, authority, name, token: token.trim().to_owned(), connector }))
    }

    /// The value of the header that shows the token.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(super) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), stream).await
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.url)
    }
}

/// Host and port of a URL, and the host alone.
fn authority(url: &str) -> Result<(String, String)> {
    let wrong = |why: &str| {
        Failure::usage(format!("`{url}` is no daemon: {why}")).hint("as in `--host https://10.0.0.5:7443`")
    };
    let rest = url.strip_prefix("https://").ok_or_else(|| wrong("it does not begin with `https://`"))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
    if port.parse::<u16>().is_err() || host.is_empty() || authority.contains(['/', '@', '?', '#']) {
        return Err(wrong("it is to be a host and a port"));
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((authority.to_owned(), bare.to_owned()))
}

fn config(certificate: &str) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match certificate.strip_prefix("sha256:") {
        Some(digits) => Arc::new(Pinned { digest: fingerprint(digits)?, provider: Arc::clone(&provider) }),
        None => {
            let path = Path::new(certificate);
            let bytes = read_bounded(path, CERTIFICATES_BYTES_MAX, "a certificate")?;
            let unusable = |error: &dyn fmt::Display| {
                Failure::refused(format!("`{certificate}` cannot be used: {error}"))
            };
            let mut roots = RootCertStore::empty();
            for found in CertificateDer::pem_slice_iter(&bytes) {
                roots.add(found.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
            }
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            built.map_err(|error| unusable(&error))?
        }
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Failure::own)?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// 64 hexadecimal digits, with or without colons between.
fn fingerprint(digits: &str) -> Result<[u8; 32]> {
    let plain: Vec<u8> = digits.bytes().filter(|byte| *byte != b':').collect();
    let mut digest = [0; 32];
    let wrong = || {
        Failure::usage("`sha256:` is followed by the 64 hexadecimal digits of a certificate's fingerprint")
    };
    if plain.len() != 64 {
        return Err(wrong());
    }
    for (byte, pair) in digest.iter_mut().zip(plain.chunks(2)) {
        let pair =
            std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
    }
    Ok(digest)
}

/// Takes one certificate and no other, whoever signed it. That the other side holds its key is checked as always.
#[derive(Debug)]
struct Pinned {
    digest: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if digest.as_ref() == self.digest {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_a_host_and_a_port() {
        let parts = |url: &str| authority(url).map_err(|failure| failure.message);
        let both = |authority: &str, host: &str| Ok((authority.to_owned(), host.to_owned()));
        assert_eq!(parts("https://h.example:7443/"), both("h.example:7443", "h.example"));
        assert_eq!(parts("https://[::1]:1"), both("[::1]:1", "::1"));
        for bad in
            ["http://h:1", "h:1", "https://h", "https://h:x", "https://:1", "https://u@h:1", "https://h/p:1"]
        {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_all_its_digits() {
        let plain = "0a".repeat(32);
        assert_eq!(fingerprint(&plain).unwrap(), [10; 32]);
        let colons = vec!["0A"; 32].join(":");
        assert_eq!(fingerprint(&colons).unwrap(), [10; 32]);
        for bad in ["", "0a", &plain[1..], &plain.replace('a', "g"), &format!("{plain}00"), &"+1".repeat(32)]
        {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }
}
