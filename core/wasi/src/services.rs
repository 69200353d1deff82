//! `/svc`: a directory whose names are services. To open one is to dial it.

use alloc::boxed::Box;
use alloc::string::String;

use qyv_vfs::{Budget, Charge, Error, OpenOptions, Result};

use crate::abi::{self, FILESTAT_SIZE, filetype, rights};
use crate::denial::{Denials, Right};
use crate::resume::{Dial, Resume};
use crate::{Direction, Host, Process, Socket, Source};

/// The guest path of the directory, its name from `/`, and the name of a service's description.
pub(crate) const PATH: &str = "/svc";
const NAME: &str = "svc";
const INFO: &str = ".info";

/// What a path names in the directory. The guest may dial the services in it, and they exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// The directory itself.
    Directory,
    /// `<name>` or `<name>/<port>`.
    Service { name: &'a str, port: Option<u16> },
    /// `<name>/.info`.
    Info { name: &'a str },
}

/// The components of a path; empty ones and `.` say nothing.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !matches!(*component, "" | "."))
}

/// The components beneath `/svc` of a path from `/`; `None` when it leads elsewhere.
pub(crate) fn from_root(path: &str) -> Option<impl Iterator<Item = &str>> {
    let mut components = components(path);
    components.next().filter(|first| *first == NAME).map(|_| components)
}

/// `logger` of `svc/logger`, `./svc//logger/80` and the like; `None` for other paths and for `svc` itself.
pub(crate) fn name_from_root(path: &str) -> Option<&str> {
    from_root(path)?.next().filter(|name| *name != "..")
}

/// What a path from `/svc` names. `NOENT` for the empty path, `NOTCAPABLE` when it leaves the directory; else the grant
/// is looked at first, whether the rest of the path makes sense or not.
fn find<'a, H: Host + ?Sized>(
    host: &mut H,
    path: &'a str,
    mut components: impl Iterator<Item = &'a str>,
    refused: impl FnOnce(&'a str) -> Error,
) -> Result<Entry<'a>> {
    if path.is_empty() {
        return Err(Error::NOENT);
    }
    let absolute = path.starts_with('/');
    let Some(name) = components.next() else {
        return if absolute { Err(Error::NOTCAPABLE) } else { Ok(Entry::Directory) };
    };
    if name == ".." {
        return Err(Error::NOTCAPABLE);
    }
    let entry = entry(name, components.next()).filter(|_| components.next().is_none());
    let port = if let Some(Entry::Service { port, .. }) = entry { port } else { None };
    match host.service(name, port) {
        Err(Error::ACCES) => return Err(refused(name)),
        result => result?,
    }
    if absolute {
        return Err(Error::NOTCAPABLE);
    }
    // A service is no directory that one can be in, or leave by `..`.
    let inside = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    entry.filter(|_| !inside).ok_or(if inside { Error::NOTDIR } else { Error::NOENT })
}

/// `None` when nothing of a service has that name.
fn entry<'a>(name: &'a str, within: Option<&'a str>) -> Option<Entry<'a>> {
    match within {
        None => Some(Entry::Service { name, port: None }),
        Some(INFO) => Some(Entry::Info { name }),
        Some(port) if port.starts_with(|first| matches!(first, '1'..='9')) => {
            Some(Entry::Service { name, port: Some(port.parse().ok()?) })
        }
        Some(_) => None,
    }
}

impl Denials {
    /// Records that a service, or a host outside, may not be dialled. Always `ACCES`.
    pub(crate) fn refuse_dial(&mut self, call: &'static str, name: &str) -> Error {
        let right = if name.contains(':') {
            Right::Connect(["tcp://", name].concat())
        } else {
            Right::Dial(name.into())
        };
        self.record(call, [PATH, "/", name].concat(), right);
        Error::ACCES
    }
}

/// The description of a service, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Info {
    text: Box<str>,
    /// Holds the bytes of `text`.
    _charge: Charge,
}

impl Info {
    fn new(text: String, budget: &Budget) -> Result<Self> {
        let charge = budget.charge(text.len() as u64).ok_or(Error::NOMEM)?;
        Ok(Self { text: text.into_boxed_str(), _charge: charge })
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.text.len() as u64
    }

    /// Copies from `offset` on, as far as text and buffers go.
    pub(crate) fn read_at(&self, offset: u64, buffers: &mut [&mut [u8]]) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let left = rest.len();
        for buffer in buffers {
            let count = buffer.len().min(rest.len());
            let (now, later) = rest.split_at(count);
            if let Some(place) = buffer.get_mut(..count) {
                place.copy_from_slice(now);
            }
            rest = later;
        }
        left - rest.len()
    }
}

/// What was opened in `/svc`.
#[derive(Debug)]
pub(crate) enum Opened {
    Directory,
    Info(Info),
    Connection(Socket),
    /// A dial that is under way; [`Resume`] has it.
    Dialling(Socket),
}

impl Process {
    /// What a path from `/svc` names. See [`find`]; a refusal is recorded.
    pub(crate) fn find_service<'a, H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        call: &'static str,
        path: &'a str,
        within: impl Iterator<Item = &'a str>,
    ) -> Result<Entry<'a>> {
        find(host, path, within, |name| self.denials.refuse_dial(call, name))
    }

    /// As [`find_service`](Self::find_service) for a path from the directory.
    pub(crate) fn find_in_services<'a, H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        call: &'static str,
        path: &'a str,
    ) -> Result<Entry<'a>> {
        self.find_service(host, call, path, components(path))
    }

    /// Opens what was found. Of a service, `create`, `exclusive` and `truncate` mean nothing: it is neither made nor
    /// emptied; `ways` are `FD_READ`, `FD_WRITE` or both. The directory and the descriptions cannot be written.
    pub(crate) fn open_service<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        entry: Entry<'_>,
        options: &OpenOptions,
        ways: u64,
    ) -> Result<Opened> {
        let exists = options.create && options.exclusive;
        let changes = options.write || options.truncate;
        match entry {
            Entry::Directory if exists => Err(Error::EXIST),
            Entry::Directory if changes || options.create => Err(Error::ISDIR),
            Entry::Directory => Ok(Opened::Directory),
            Entry::Service { .. } | Entry::Info { .. } if options.directory => Err(Error::NOTDIR),
            Entry::Info { .. } if exists => Err(Error::EXIST),
            Entry::Info { .. } if changes => Err(Error::ROFS),
            Entry::Info { name } => {
                let text = host.service_info(name);
                Ok(Opened::Info(Info::new(self.told(name, text)?, &self.memory)?))
            }
            Entry::Service { name, port } => {
                let direction = match ways {
                    rights::FD_READ => Direction::Receive,
                    rights::FD_WRITE => Direction::Send,
                    0 => return Err(Error::NOTCAPABLE),
                    _ => Direction::Both,
                };
                self.dial(host, name, port, direction)
            }
        }
    }

    /// `filestat` of what was found. Nothing is dialled.
    pub(crate) fn service_filestat<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        entry: Entry<'_>,
    ) -> Result<[u8; FILESTAT_SIZE as usize]> {
        Ok(match entry {
            Entry::Directory => abi::filestat_bare(filetype::DIRECTORY),
            Entry::Service { .. } => abi::filestat_bare(filetype::SOCKET_STREAM),
            Entry::Info { name } => abi::filestat_text(host.service_info(name)?.len() as u64),
        })
    }

    /// Dials, or looks after the dial that `path_open` is waiting for.
    fn dial<H: Host + ?Sized>(
        &mut self,
        host: &mut H,
        name: &str,
        port: Option<u16>,
        direction: Direction,
    ) -> Result<Opened> {
        let same = |dial: &Dial| dial.name == name && dial.port == port && dial.direction == direction;
        let socket = match self.resume.take() {
            Some(Resume::Dial(dial)) if same(&dial) => dial.socket,
            other => {
                self.resume = other;
                self.forget(host);
                let socket = host.dial(name, port, direction);
                self.told(name, socket)?
            }
        };
        match host.connected(socket) {
            Ok(()) => Ok(Opened::Connection(socket)),
            Err(Error::AGAIN) => {
                self.resume = Some(Resume::Dial(Dial { name: name.into(), port, direction, socket }));
                Ok(Opened::Dialling(socket))
            }
            Err(error) => {
                let missing = host.missing(socket).filter(|_| error == Error::ACCES);
                host.close(Source::Socket(socket));
                let Some(missing) = missing else { return self.told(name, Err(error)) };
                self.denials.record("path_open", [PATH, "/", name].concat(), Right::Connect(missing));
                Err(error)
            }
        }
    }

    /// Records a refusal that came after all, as when a grant is revoked meanwhile.
    fn told<T>(&mut self, name: &str, result: Result<T>) -> Result<T> {
        if let Err(Error::ACCES) = result {
            self.denials.refuse_dial("path_open", name);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_after_svc() {
        for path in ["svc/logger", "./svc//logger/80", "svc/./logger/.info", "/svc/logger"] {
            assert_eq!(name_from_root(path), Some("logger"), "{path}");
        }
        for path in ["svc", "svc/", "svc/..", "svcs/logger", "a/svc/logger", "", "../svc/logger"] {
            assert_eq!(name_from_root(path), None, "{path}");
        }
    }

    #[test]
    fn ports_are_written_in_one_way() {
        for (text, port) in [("1", 1), ("80", 80), ("65535", 65_535)] {
            assert_eq!(entry("a", Some(text)), Some(Entry::Service { name: "a", port: Some(port) }));
        }
        for text in ["0", "080", "+80", "-1", "65536", "99999999999999999999", "80x", "８０", ".infos", ".."]
        {
            assert_eq!(entry("a", Some(text)), None, "{text}");
        }
    }

    #[test]
    fn a_description_is_read_from_any_place() {
        let info = Info::new("0123456789".into(), &Budget::new(10)).unwrap();
        let (mut a, mut b) = ([0; 3], [0; 20]);
        assert_eq!(info.read_at(4, &mut [&mut a, &mut [], &mut b]), 6);
        assert_eq!((&a, &b[..4]), (b"456", &b"789\0"[..]));
        assert_eq!(info.read_at(10, &mut [&mut a]), 0);
        assert_eq!(info.read_at(u64::MAX, &mut [&mut a]), 0);
        assert_eq!(Info::new("x".repeat(11), &Budget::new(10)).err(), Some(Error::NOMEM));
    }
}
