//! Secrets, encrypted at rest.
//!
//! One age file a secret, for an identity that lies outside the state: a copy of the state tells nothing. Plugins are left
//! out, because a plugin's name in a file makes a program run. Inside each file stands the secret's name, so that files
//! cannot be exchanged for one another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use qyv_spec::manifest::EnvName;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::disk::{Disk, write_whole};
use crate::folder::check_private;
use crate::{Error, Result};

/// The largest value of a secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// The most secrets.
pub const SECRETS_MAX: usize = 10_000;

const FOLDER: &str = "secrets";
const SUFFIX: &str = ".age";
/// No name of a secret begins with a dot.
const DRAFT: &str = ".draft";
/// What the plain text begins with; the name and an end of line follow, then the value.
const BEGINNING: &str = "qyvol-secret 1\n";
/// An age file has a header for one recipient, and 16 bytes for each 64 KiB, beyond its content.
const FILE_BYTES_MAX: u64 = SECRET_BYTES_MAX as u64 + 4096;
/// The longest file of an identity.
const IDENTITY_BYTES_MAX: u64 = 4096;

/// A value of a secret; its memory is wiped when it is dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// A secret that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEntry {
    /// Its name.
    pub name: EnvName,
    /// When it was set, in milliseconds since 1970.
    pub set: u64,
}

/// The secrets of a state.
#[derive(Debug)]
pub struct Secrets {
    disk: Arc<dyn Disk>,
    identity: PathBuf,
}

impl Secrets {
    /// The secrets on `disk`, on which a [`Store`](crate::Store) was opened. Their identity is the file `identity`, outside the state folder; the first
    /// [`set`](Self::set) makes it (0600).
    ///
    /// # Errors
    ///
    /// [`Error::Unsafe`] when the identity is there, and belongs to somebody else or is open to others.
    pub fn open(disk: Arc<dyn Disk>, identity: &Path) -> Result<Self> {
        if identity.symlink_metadata().is_ok() {
            check_private(identity, 0o600)?;
        }
        // A process that was killed may have made names that are not safe yet: what is seen from now on stays.
        disk.sync_folder(FOLDER).map_err(Error::io("sync the folder `secrets`"))?;
        Ok(Self { disk, identity: identity.to_owned() })
    }

    /// Stores a secret, in place of one of the same name.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] beyond [`SECRET_BYTES_MAX`] or [`SECRETS_MAX`]; the disk's.
    pub fn set(&self, name: &EnvName, value: &[u8]) -> Result<()> {
        if value.len() > SECRET_BYTES_MAX {
            let what = format!("the secret `{name}`");
            return Err(Error::TooLarge { what, limit: SECRET_BYTES_MAX as u64, unit: "bytes" });
        }
        let entries = self.list()?;
        if entries.len() >= SECRETS_MAX && !entries.iter().any(|entry| entry.name == *name) {
            let what = "the set of secrets".to_owned();
            return Err(Error::TooLarge { what, limit: SECRETS_MAX as u64, unit: "secrets" });
        }
        let identity = match self.identity()? {
            Some(identity) => identity,
            None => self.make_identity()?,
        };
        let failed = || Error::io(format!("store the secret `{name}`"));
        let bytes = encrypt(&identity, name, value).map_err(failed())?;
        write_whole(&*self.disk, FOLDER, DRAFT, &file_name(name), &bytes).map_err(failed())
    }

    /// The value of a secret.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::WrongIdentity`] when the identity is another one than it was set with, or is gone;
    /// [`Error::Corrupt`].
    pub fn get(&self, name: &EnvName) -> Result<Secret> {
        let path = format!("{FOLDER}/{}", file_name(name));
        let file = self.disk.open(&path, false).map_err(|error| not_found(name, "read", error))?;
        let read = || Error::io(format!("read the secret `{name}`"));
        let size = file.len().map_err(read())?;
        let corrupt = |detail: &str| Error::corrupt(format!("the secret `{name}`"), detail);
        if size > FILE_BYTES_MAX {
            return Err(corrupt("its file is too large"));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_at(0, &mut bytes).map_err(read())?;
        let wrong = || Error::WrongIdentity { name: name.to_string(), identity: self.identity.clone() };
        let identity = self.identity()?.ok_or_else(wrong)?;
        let plain = decrypt(&identity, &bytes).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => wrong(),
            other => corrupt(&other.to_string()),
        })?;
        let beginning = format!("{BEGINNING}{name}\n");
        let value = plain.strip_prefix(beginning.as_bytes());
        Ok(Zeroizing::new(value.ok_or_else(|| corrupt("its file holds something else"))?.to_vec()))
    }

    /// The secrets that are stored, by name.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn list(&self) -> Result<Vec<SecretEntry>> {
        let entries = self.disk.list(FOLDER).map_err(Error::io("list the secrets"))?;
        let secret = |entry: crate::Entry| {
            let name = entry.name.strip_suffix(SUFFIX)?.parse().ok()?;
            Some(SecretEntry { name, set: entry.modified })
        };
        Ok(entries.into_iter().filter_map(secret).collect())
    }

    /// Removes a secret.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; the disk's.
    pub fn remove(&self, name: &EnvName) -> Result<()> {
        let path = format!("{FOLDER}/{}", file_name(name));
        self.disk.remove(&path).map_err(|error| not_found(name, "remove", error))?;
        self.disk.sync_folder(FOLDER).map_err(Error::io(format!("remove the secret `{name}`")))
    }

    /// The identity, when there is one.
    fn identity(&self) -> Result<Option<Identity>> {
        let failed = || Error::io(format!("read the identity `{}`", self.identity.display()));
        let opened = options().read(true).open(&self.identity);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed())?,
        };
        check_private(&self.identity, 0o600)?;
        let mut text = Zeroizing::new(String::with_capacity(IDENTITY_BYTES_MAX as usize));
        file.take(IDENTITY_BYTES_MAX).read_to_string(&mut text).map_err(failed())?;
        let line = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let what = format!("the identity `{}`", self.identity.display());
        line.trim().parse().map(Some).map_err(|error: &str| Error::corrupt(what, error))
    }

    fn make_identity(&self) -> Result<Identity> {
        let failed = || Error::io(format!("make the identity `{}`", self.identity.display()));
        let identity = Identity::generate();
        let folder = self.identity.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut draft = self.identity.clone().into_os_string();
        draft.push(format!(".{}.draft", std::process::id()));
        let make = || {
            std::fs::create_dir_all(folder)?;
            // Left by a process of the same number that was killed.
            let _ = std::fs::remove_file(&draft);
            let mut file = options().write(true).create_new(true).open(&draft)?;
            let text = Zeroizing::new(format!(
                "# Opens the secrets of qyvold. Keep a copy of it elsewhere.\n# {}\n{}\n",
                identity.to_public(),
                identity.to_string().expose_secret()
            ));
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Not over one that somebody has put there meanwhile.
            std::fs::hard_link(&draft, &self.identity)?;
            File::open(folder)?.sync_all()
        };
        let made = make();
        let _ = std::fs::remove_file(&draft);
        made.map_err(failed())?;
        Ok(identity)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed());
    options
}

fn file_name(name: &EnvName) -> String {
    format!("{name}{SUFFIX}")
}

fn not_found(name: &EnvName, what: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(format!("secret `{name}`")),
        _ => Error::Io { what: format!("{what} the secret `{name}`"), source: error },
    }
}

fn encrypt(identity: &Identity, name: &EnvName, value: &[u8]) -> io::Result<Vec<u8>> {
    let recipient = identity.to_public();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut output = encryptor.map_err(io::Error::other)?.wrap_output(Vec::new())?;
    output.write_all(BEGINNING.as_bytes())?;
    output.write_all(name.as_str().as_bytes())?;
    output.write_all(b"\n")?;
    output.write_all(value)?;
    output.finish()
}

fn decrypt(identity: &Identity, bytes: &[u8]) -> std::result::Result<Secret, age::DecryptError> {
    let decryptor = age::Decryptor::new(bytes)?;
    let reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity))?;
    // All of it at once: a buffer that grows leaves copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    reader.take(bytes.len() as u64).read_to_end(&mut plain)?;
    Ok(plain)
}
