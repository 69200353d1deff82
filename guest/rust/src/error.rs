//! Why something could not be done.

use std::fmt::{self, Display as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use qyv_svc::protocol::Malformed;

/// Result of what can fail with an [`Error`].
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a service could not be reached or served.
///
/// It does not get lost: one that is dropped while nobody has asked for its [kind](Self::kind) or its text is written to
/// standard error, with the name of the service. To drop one on purpose, ask for its kind.
pub struct Error {
    kind: ErrorKind,
    address: String,
    seen: AtomicBool,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The app was not granted this service. It is the same whether the service exists or not.
    Denied,
    /// Nobody offers a service of this name, or it has no such port.
    Unknown,
    /// Nobody serves it now, or too many wait to be accepted. It can be tried again.
    Down,
    /// The other side died.
    Reset,
    /// The operator took the grant back.
    Revoked,
    /// The other side receives no more, or this side said that it sends no more.
    Closed,
    /// A message of more than 16 MiB.
    MessageTooLong,
    /// What is sent or has arrived is no message of the service's protocol.
    Malformed(Malformed),
    /// What is said about the service is not understood; [`framing`](crate::net::Connect::framing) goes without.
    NoProtocol,
    /// Not `service://name` or `service://name/port`.
    BadAddress,
    /// The app has no listening socket of this name.
    NotOffered,
    /// This program does not run on a host with services.
    NoServices,
    /// Something else, as the operating system has named it.
    Io(io::ErrorKind),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, address: &str) -> Self {
        Self { kind, address: address.to_owned(), seen: AtomicBool::new(false) }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.seen.store(true, Ordering::Relaxed);
        self.kind
    }

    /// The address of the service, as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seen.store(true, Ordering::Relaxed);
        write!(f, "`{}`: ", self.address)?;
        match self.kind {
            ErrorKind::Denied if self.address == "service://qyvold" => f.write_str(
                "it was not granted; the lines of the manifest that ask for it are `permissions: { exec: true }`, \
                 `permissions: { exec: { run: [app] } }` and `permissions: { admin: [stop, logs] }`",
            ),
            ErrorKind::Denied => write!(
                f,
                "it was not granted; the line of the manifest that asks for it is `permissions: {{ net: {{ connect: \
                 [\"{}\"] }} }}`",
                self.address
            ),
            ErrorKind::Unknown => f.write_str("nobody offers a service of this name; `/svc` lists those that can be dialled"),
            ErrorKind::Down => f.write_str("the service is down, or too many wait for it; try again later"),
            ErrorKind::Reset => f.write_str("the other side died"),
            ErrorKind::Revoked => f.write_str("the grant was taken back"),
            ErrorKind::Closed => f.write_str("the connection is closed in this direction"),
            ErrorKind::MessageTooLong => Malformed::TooLong.fmt(f),
            ErrorKind::Malformed(malformed) => malformed.fmt(f),
            ErrorKind::NoProtocol => f.write_str("its protocol is not known; say it with `.framing(..)`"),
            ErrorKind::BadAddress => {
                f.write_str("this is no address of a service; write `service://name` or `service://name/port`")
            }
            ErrorKind::NotOffered => {
                f.write_str("the app has no such listening socket; the manifest names them in `services` and `net.listen`")
            }
            ErrorKind::NoServices => f.write_str("there are no services here; run the program with Qyvol"),
            ErrorKind::Io(kind) => kind.fmt(f),
        }
    }
}

impl ErrorKind {
    /// What a call of the system means here.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound => Self::Unknown,
            io::ErrorKind::ConnectionRefused => Self::Down,
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::ConnectionAborted => Self::Revoked,
            io::ErrorKind::BrokenPipe => Self::Closed,
            kind => Self::Io(kind),
        }
    }
}

impl From<Malformed> for ErrorKind {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLong => Self::MessageTooLong,
            other => Self::Malformed(other),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// As [`Display`](fmt::Display): it is what `main` prints when it returns one.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What it says when nobody has looked at it.
    fn last_words(&self) -> Option<String> {
        (!self.seen.load(Ordering::Relaxed)).then(|| format!("qyv: {self}\n"))
    }
}

impl Drop for Error {
    fn drop(&mut self) {
        if let Some(line) = self.last_words() {
            // In one piece, and without a panic where standard error is closed.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn only_what_nobody_has_seen_speaks_up() {
        let down = || Error::new(ErrorKind::Down, "service://logger");
        let said = down().last_words().unwrap();
        assert!(
            said.starts_with("qyv: `service://logger`: the service is down") && said.ends_with('\n'),
            "{said}"
        );
        let looks: [fn(&Error) -> String; 3] =
            [|error| format!("{:?}", error.kind()), Error::to_string, |error| format!("{error:?}")];
        for look in looks {
            let error = down();
            look(&error);
            assert_eq!(error.last_words(), None);
        }
        let error = down();
        assert_eq!(error.address(), "service://logger");
        assert!(error.last_words().is_some(), "the address is not the failure");
    }

    #[test]
    fn a_denial_names_the_line_of_the_manifest() {
        let text = Error::new(ErrorKind::Denied, "service://db/5432").to_string();
        assert!(text.ends_with("`permissions: { net: { connect: [\"service://db/5432\"] } }`"), "{text}");
    }
}
