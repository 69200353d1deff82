//! What an operator writes: `--grant net,exec:resize` and `--bind inbox=/srv/in:ro`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::request::Request;
use crate::Invalid;
use crate::manifest::{AdminRight, EnvName, Mode};
use crate::quantity::shown;
use crate::service::{Endpoint, Listen, Name};
use crate::text::text_value;

/// One thing that an operator allows, or that a policy allows at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// `all`: everything that was asked for, but paths of the host, which are bound one by one.
    All,
    /// `net`: every host, port and server that was asked for.
    Net,
    /// `https://host`, `tcp://host:port`, `service://name`: one of them.
    Endpoint(Endpoint),
    /// `listen:tcp://127.0.0.1:8080`: one port.
    Listen(Listen),
    /// `services`: every service that was asked for.
    Services,
    /// `ai`: inference. It needs no grant; a policy that lists what it allows names it.
    Ai,
    /// `exec`: every program that was asked for; `exec:name`: one installed app.
    Exec(Option<Name>),
    /// `exec-own`: programs of the app's own bundle.
    ExecOwn,
    /// `admin`: every right over other apps that was asked for; `admin:stop`: one of them.
    Admin(Option<AdminRight>),
    /// `gfx`: a window or screen.
    Gfx,
    /// `sensors`: the sensors.
    Sensors,
    /// `env`: every variable and secret that was asked for; `env:NAME`: one of them.
    Env(Option<EnvName>),
}

impl Allow {
    /// The plain words, for messages.
    const WORDS: [&'static str; 9] =
        ["all", "net", "services", "ai", "exec", "exec-own", "admin", "gfx", "sensors"];

    /// Whether this answers `request`. Nothing answers a path of the host.
    #[must_use]
    pub fn covers(&self, request: &Request) -> bool {
        match (self, request) {
            (_, Request::Slot { .. } | Request::Folder { .. }) => false,
            (Self::All, _)
            | (Self::Net, Request::AnyHost | Request::Connect(_) | Request::Listen(_) | Request::Origin(_))
            | (Self::Services, Request::Service(_))
            | (Self::Ai, Request::Ai)
            | (Self::Exec(None), Request::Exec(_))
            | (Self::Exec(None) | Self::ExecOwn, Request::ExecOwn)
            | (Self::Admin(None), Request::Admin(_))
            | (Self::Gfx, Request::Gfx)
            | (Self::Sensors, Request::Sensors)
            | (Self::Env(None), Request::Env(_)) => true,
            (Self::Endpoint(Endpoint::Host(mine)), Request::Connect(asked) | Request::Origin(asked)) => {
                mine == asked
            }
            (Self::Endpoint(Endpoint::Service(mine)), Request::Service(asked)) => {
                mine.name == asked.name && (mine.port.is_none() || mine.port == asked.port)
            }
            (Self::Listen(mine), Request::Listen(asked)) => mine == asked,
            (Self::Exec(Some(mine)), Request::Exec(asked)) => mine == asked,
            (Self::Admin(Some(mine)), Request::Admin(asked)) => mine == asked,
            (Self::Env(Some(mine)), Request::Env(asked)) => mine == asked,
            _ => false,
        }
    }
}

impl FromStr for Allow {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text {
            "all" => Self::All,
            "net" => Self::Net,
            "services" => Self::Services,
            "ai" => Self::Ai,
            "exec" => Self::Exec(None),
            "exec-own" => Self::ExecOwn,
            "admin" => Self::Admin(None),
            "admin:stop" => Self::Admin(Some(AdminRight::Stop)),
            "admin:logs" => Self::Admin(Some(AdminRight::Logs)),
            "admin:power" => Self::Admin(Some(AdminRight::Power)),
            "gfx" => Self::Gfx,
            "sensors" => Self::Sensors,
            "env" => Self::Env(None),
            _ if text.contains("://") && !text.starts_with("listen:") => Self::Endpoint(text.parse()?),
            _ => match text.split_once(':') {
                Some(("listen", rest)) => Self::Listen(rest.parse()?),
                Some(("exec", rest)) => Self::Exec(Some(rest.parse()?)),
                Some(("env", rest)) => Self::Env(Some(rest.parse()?)),
                _ => {
                    let words = Self::WORDS.join("`, `");
                    return Err(Invalid::new(
                        format!("`{}` is not a grant", shown(text)),
                        format!(
                            "write `{words}`, `env`, `exec:NAME`, `admin:stop`, `env:NAME`, `listen:tcp://ADDRESS:PORT` or \
                             an address"
                        ),
                    ));
                }
            },
        })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Net => f.write_str("net"),
            Self::Endpoint(endpoint) => endpoint.fmt(f),
            Self::Listen(listen) => write!(f, "listen:{listen}"),
            Self::Services => f.write_str("services"),
            Self::Ai => f.write_str("ai"),
            Self::Exec(None) => f.write_str("exec"),
            Self::Exec(Some(name)) => write!(f, "exec:{name}"),
            Self::ExecOwn => f.write_str("exec-own"),
            Self::Admin(None) => f.write_str("admin"),
            Self::Admin(Some(right)) => write!(f, "admin:{}", right.word()),
            Self::Gfx => f.write_str("gfx"),
            Self::Sensors => f.write_str("sensors"),
            Self::Env(None) => f.write_str("env"),
            Self::Env(Some(name)) => write!(f, "env:{name}"),
        }
    }
}

text_value!(Allow, "a grant such as `net` or `https://host`", "net");

/// Reads `--grant`'s comma list.
///
/// # Errors
///
/// The first item that is not a grant. An empty list is one.
pub fn parse_allow_list(text: &str) -> Result<Vec<Allow>, Invalid> {
    text.split(',').map(str::parse).collect()
}

/// `slot=path`, `slot=path:ro` or `slot=path:rw`: the path of the host that a slot is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The slot.
    pub slot: Name,
    /// The path of the host, as written: the host makes it absolute and resolves its links before it decides.
    pub path: String,
    /// The most that is granted; `None` is what the app asks for.
    pub mode: Option<Mode>,
}

impl FromStr for Bind {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mend = "write `SLOT=PATH`, `SLOT=PATH:ro` or `SLOT=PATH:rw`, as in `inbox=/srv/in:ro`";
        let bad = |why: &str| Invalid::new(format!("`{}` does not bind a slot: {why}", shown(text)), mend);
        let (slot, path) = text.split_once('=').ok_or_else(|| bad("it has no `=`"))?;
        let (path, mode) = match path.rsplit_once(':') {
            Some((path, "ro")) => (path, Some(Mode::ReadOnly)),
            Some((path, "rw")) => (path, Some(Mode::ReadWrite)),
            _ => (path, None),
        };
        if path.is_empty() || path.contains('\0') {
            return Err(bad("it has no path"));
        }
        Ok(Self { slot: slot.parse()?, path: path.to_string(), mode })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            None => "",
            Some(Mode::ReadOnly) => ":ro",
            Some(Mode::ReadWrite) => ":rw",
        };
        write!(f, "{}={}{mode}", self.slot, self.path)
    }
}

text_value!(Bind, "`slot=path` or `slot=path:ro`", "inbox=/srv/in:ro");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_read_back_as_written() {
        for text in [
            "all",
            "net",
            "services",
            "ai",
            "exec",
            "exec-own",
            "exec:resize",
            "admin",
            "admin:stop",
            "admin:logs",
            "admin:power",
            "gfx",
            "sensors",
            "env",
            "env:API_KEY",
            "https://example.org",
            "service://logger/1",
            "listen:tcp://127.0.0.1:80",
        ] {
            assert_eq!(text.parse::<Allow>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        for bad in [
            "",
            "al",
            "ALL",
            "net ",
            "net:x",
            "admin:root",
            "exec:",
            "exec:A",
            "env:1",
            "listen:80",
            "fs",
            "service://",
        ] {
            assert!(bad.parse::<Allow>().is_err(), "{bad:?}");
        }
        assert!(parse_allow_list("net,exec").is_ok() && parse_allow_list("net,,exec").is_err());
        assert!(parse_allow_list("").is_err());
    }

    #[test]
    fn binds_read_back_as_written() {
        for text in ["inbox=/srv/in", "inbox=/srv/in:ro", "a=C:\\in:rw", "a=/odd:name", "a=b=c"] {
            assert_eq!(text.parse::<Bind>().map(|b| b.to_string()), Ok(text.to_string()));
        }
        for bad in ["", "inbox", "inbox=", "inbox=:ro", "=/srv", "Inbox=/srv", "a/b=/srv"] {
            assert!(bad.parse::<Bind>().is_err(), "{bad:?}");
        }
    }
}
