//! The token and the certificate: files of the daemon's user alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The most bytes of any of these files.
const FILE_BYTES_MAX: u64 = 1 << 20;

const TOKEN: &str = "token";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// The token in `folder`, which is made when there is none: 64 hexadecimal digits.
///
/// # Errors
///
/// A sentence, when it cannot be read or made, or when others may read it.
pub fn token(folder: &Path) -> Result<String, String> {
    let path = folder.join(TOKEN);
    match private(&path) {
        Ok(None) => new_token(folder),
        Ok(Some(text)) => {
            let text = text.trim();
            let fits = text.len() == TOKEN_BYTES * 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if fits { Ok(text.to_owned()) } else { Err(format!("`{}` is no token", path.display())) }
        }
        Err(why) => Err(why),
    }
}

/// Makes a new token in `folder`; the one before opens nothing any more.
///
/// # Errors
///
/// A sentence, when it cannot be written.
pub fn new_token(folder: &Path) -> Result<String, String> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    write(folder, TOKEN, &format!("{text}\n"))?;
    Ok(text)
}

/// A certificate with its key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub(super) fn fingerprint(&self) -> String {
        let certificate = self.chain.first().map_or(&[][..], |certificate| certificate.as_ref());
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(certificate: &str, key: &str) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let chain = chain.map_err(|error| error.to_string())?;
        if chain.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { chain, key })
    }
}

/// The operator's own files.
pub(super) fn of_operator(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let missing = |path: &Path| format!("`{}` does not exist", path.display());
    let secret = private(key)?.ok_or_else(|| missing(key))?;
    let public = bounded(certificate)?.ok_or_else(|| missing(certificate))?;
    Identity::read(&public, &secret)
        .map_err(|why| format!("`{}` and `{}` cannot be used: {why}", certificate.display(), key.display()))
}

/// The daemon's own, made when there are none: signed by itself, for clients that know its fingerprint.
pub(super) fn own(folder: &Path, address: SocketAddr) -> Result<Identity, String> {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    // The key is written first: without it the certificate is worth nothing, and is made anew.
    if let (Some(public), Some(secret)) = (bounded(&certificate)?, private(&key)?) {
        return Identity::read(&public, &secret).map_err(|why| {
            format!("`{}` cannot be used: {why}; remove it to have a new one made", certificate.display())
        });
    }
    let names = vec!["qyvold".to_owned(), "localhost".to_owned(), address.ip().to_string()];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| format!("cannot make a certificate: {error}"))?;
    write(folder, KEY, &made.signing_key.serialize_pem())?;
    write(folder, CERTIFICATE, &made.cert.pem())?;
    Identity::read(&made.cert.pem(), &made.signing_key.serialize_pem())
}

/// A file that nobody else may read; `None` when there is none.
fn private(path: &Path) -> Result<Option<String>, String> {
    match fs::metadata(path) {
        Ok(found) if found.mode() & 0o077 != 0 => Err(format!(
            "`{0}` may be read by others; if nobody has: `chmod 600 {0}`, else remove it",
            path.display()
        )),
        _ => bounded(path),
    }
}

fn bounded(path: &Path) -> Result<Option<String>, String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Writes a file of this user's alone, whole or not at all.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    let draft = folder.join(format!(".{name}.draft"));
    let written = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_made_once_is_secret_and_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("remote");
        let first = token(&at).unwrap();
        assert_eq!((first.len(), token(&at).unwrap()), (64, first.clone()));
        assert_eq!(fs::metadata(at.join(TOKEN)).unwrap().mode() & 0o777, 0o600);
        let second = new_token(&at).unwrap();
        assert!(second != first && token(&at).unwrap() == second);
        fs::set_permissions(at.join(TOKEN), Permissions::from_mode(0o640)).unwrap();
        assert!(token(&at).unwrap_err().contains("chmod 600"));
        fs::set_permissions(at.join(TOKEN), Permissions::from_mode(0o600)).unwrap();
        fs::write(at.join(TOKEN), "").unwrap();
        assert!(token(&at).is_err(), "an empty token would be one that everybody knows");
    }

    #[test]
    fn a_certificate_is_made_once_and_the_operators_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let first = own(folder.path(), address).unwrap().fingerprint();
        assert_eq!(own(folder.path(), address).unwrap().fingerprint(), first);
        let (certificate, key) = (folder.path().join(CERTIFICATE), folder.path().join(KEY));
        assert_eq!(of_operator(&certificate, &key).unwrap().fingerprint(), first);
        assert!(of_operator(&key, &key).is_err());
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert!(of_operator(&certificate, &key).is_err_and(|why| why.contains("chmod 600")));
        fs::remove_file(&key).unwrap();
        assert_ne!(own(folder.path(), address).unwrap().fingerprint(), first);
    }
}
