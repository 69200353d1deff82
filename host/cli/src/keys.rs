//! Keys to sign with and to trust, and passphrases.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use qyv_spec::bundle::encrypt::{Identity, SecretString};
use qyv_spec::bundle::{MAX_KEY_FILE_BYTES, PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure, Result};
use crate::target::read_bounded;

/// The key that is used when none is named.
pub(crate) const DEFAULT: &str = "default";
/// The longest passphrase that is read, in bytes.
const PASSPHRASE_BYTES_MAX: u64 = 4096;

/// Where a key's two files are: the same name, with `.key` for the secret one and `.pub` for the public one.
///
/// A bare name is that of a key in the folder of keys; what has a `/` or ends in `.key` or `.pub` is a path.
pub(crate) fn place(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    let stem = name.strip_suffix(".key").or_else(|| name.strip_suffix(".pub"));
    match stem {
        Some(stem) => Ok(PathBuf::from(stem)),
        None if name.contains('/') => Ok(path.to_owned()),
        None if name.is_empty() || name.starts_with('.') => {
            Err(Failure::usage(format!("`{name}` is not the name of a key")))
        }
        None => Ok(crate::folders::config()?.join("keys").join(name)),
    }
}

/// The file of a key whose place is `place`.
pub(crate) fn file(place: &Path, ending: &str) -> PathBuf {
    let mut path = place.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    PathBuf::from(path)
}

/// Reads the secret key that `name` names. A file that others could have read is refused.
pub(crate) fn secret(name: &str) -> Result<SecretKey> {
    let path = file(&place(name)?, "key");
    let shown = path.display();
    let bytes = read_bounded(&path, MAX_KEY_FILE_BYTES as u64, "a key file").map_err(|failure| {
        if failure.code == Code::NotFound {
            let hint = if name == DEFAULT {
                "`qyvol keygen` makes one"
            } else {
                "`qyvol keygen --out NAME` makes one"
            };
            return Failure::not_found(format!("there is no key `{shown}`")).hint(hint);
        }
        failure
    })?;
    let bytes = Zeroizing::new(bytes);
    let mode =
        std::fs::metadata(&path).map_err(|error| Failure::at_path("open", &path, &error))?.permissions();
    if mode.mode() & 0o077 != 0 {
        return Err(Failure::refused(format!("the secret key `{shown}` can be read by others"))
            .hint(format!("if nobody has read it: `chmod 600 {shown}`; otherwise make a new one")));
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::refused(format!("`{shown}` is not UTF-8")))?;
    SecretKey::from_text(text).map_err(|error| Failure::refused(format!("`{shown}`: {error}")))
}

/// Reads a public key file, and its note.
pub(crate) fn public(path: &Path) -> Result<(PublicKey, Option<String>)> {
    let bytes = read_bounded(path, MAX_KEY_FILE_BYTES as u64, "a key file")?;
    let shown = path.display();
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::refused(format!("`{shown}` is not UTF-8")))?;
    PublicKey::from_text(text).map_err(|error| Failure::refused(format!("`{shown}`: {error}")))
}

/// Reads the age keys in a file: a key a line, remarks with `#`.
pub(crate) fn identities(path: &Path) -> Result<Vec<Identity>> {
    /// Thousands of keys.
    const BYTES_MAX: u64 = 1 << 20;
    let bytes = Zeroizing::new(read_bounded(path, BYTES_MAX, "a file of age keys")?);
    let shown = path.display();
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::refused(format!("`{shown}` is not UTF-8")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<Identity> = lines
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Failure::refused(format!("`{shown}` holds what is no age key: {error}")))?;
    if keys.is_empty() {
        return Err(Failure::refused(format!("`{shown}` holds no age key"))
            .hint("a key is a line that begins with `AGE-SECRET-KEY-1`"));
    }
    Ok(keys)
}

/// Asks for a passphrase on the terminal, without showing it, and twice when `new`; without a terminal it is the first
/// line of standard input.
pub(crate) fn passphrase(new: bool) -> Result<SecretString> {
    if !std::io::stdin().is_terminal() {
        return line().map(|text| secret_text(&text));
    }
    let first = asked("Passphrase: ")?;
    if new && *asked("The same again: ")? != *first {
        return Err(Failure::usage("the two passphrases differ"));
    }
    Ok(secret_text(&first))
}

/// Asks for a secret on the terminal, without showing it.
pub(crate) fn hidden(prompt: &str) -> Result<Zeroizing<Vec<u8>>> {
    asked(prompt).map(|text| Zeroizing::new(text.as_bytes().to_vec()))
}

fn asked(prompt: &str) -> Result<Zeroizing<String>> {
    let _hidden = Hidden::begin()?;
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(prompt.as_bytes()).and_then(|()| stderr.flush());
    let secret = line();
    let _ = stderr.write_all(b"\n");
    secret
}

fn secret_text(text: &Zeroizing<String>) -> SecretString {
    SecretString::from(text.as_str().to_owned())
}

fn line() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(PASSPHRASE_BYTES_MAX)
        .read_line(&mut text)
        .map_err(|error| Failure::own(format!("cannot read the passphrase: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(
            Failure::usage("the passphrase is empty").hint("give it on the first line of standard input")
        );
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn begin() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let failed =
            |error| Failure::own(format!("cannot hide the passphrase: {}", std::io::Error::from(error)));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}
