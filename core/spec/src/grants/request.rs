//! What an app reaches for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::allow::Allow;
use crate::App;
use crate::manifest::{AdminRight, EnvName, GuestPath, Mode, MountKind, RelativePath, Source};
use crate::problem::KeyPath;
use crate::service::{Endpoint, HostAddress, Listen, Name, ServiceAddress};

/// One thing an app reaches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To connect to any host.
    AnyHost,
    /// To connect to one port of one host.
    Connect(HostAddress),
    /// To listen at a port of this machine.
    Listen(Listen),
    /// To read, and with its mode to change, files of a server.
    Origin(HostAddress),
    /// To dial a service. No question when an app of the same deployment offers it.
    Service(ServiceAddress),
    /// Inference. No question, but a policy can cap it.
    Ai,
    /// To start programs of its own bundle.
    ExecOwn,
    /// To start an installed app.
    Exec(Name),
    /// A right over the other apps of this machine.
    Admin(AdminRight),
    /// A window or screen.
    Gfx,
    /// The sensors of this machine.
    Sensors,
    /// A variable or secret of the operator.
    Env(EnvName),
    /// A path of the host that the operator chooses.
    Slot {
        /// The slot's name.
        slot: Name,
        /// Where the app sees it.
        mount: GuestPath,
        /// Whether it may change it.
        mode: Mode,
    },
    /// A folder beside a manifest that is run in place.
    Folder {
        /// The folder.
        folder: RelativePath,
        /// Where the app sees it.
        mount: GuestPath,
        /// Whether it may change it.
        mode: Mode,
    },
}

impl Request {
    /// The key of the manifest that asks.
    #[must_use]
    pub fn key(&self) -> KeyPath {
        let right = |name: &str| KeyPath::key("permissions").then(name);
        match self {
            Self::AnyHost => right("net"),
            Self::Connect(_) | Self::Service(_) => right("net").then("connect"),
            Self::Listen(_) => right("net").then("listen"),
            Self::Ai => right("ai"),
            Self::ExecOwn => right("exec"),
            Self::Exec(_) => right("exec").then("run"),
            Self::Admin(_) => right("admin"),
            Self::Gfx => right("gfx"),
            Self::Sensors => right("sensors"),
            Self::Env(_) => KeyPath::key("env_from"),
            Self::Origin(_) | Self::Slot { .. } | Self::Folder { .. } => KeyPath::key("fs"),
        }
    }

    /// The narrowest grant that answers the request; `None` for paths of the host, which are bound.
    #[must_use]
    pub fn narrowest(&self) -> Option<Allow> {
        Some(match self {
            Self::AnyHost => Allow::Net,
            Self::Connect(address) | Self::Origin(address) => {
                Allow::Endpoint(Endpoint::Host(address.clone()))
            }
            Self::Listen(listen) => Allow::Listen(listen.clone()),
            Self::Service(address) => Allow::Endpoint(Endpoint::Service(address.clone())),
            Self::Ai => Allow::Ai,
            Self::ExecOwn => Allow::ExecOwn,
            Self::Exec(name) => Allow::Exec(Some(name.clone())),
            Self::Admin(right) => Allow::Admin(Some(*right)),
            Self::Gfx => Allow::Gfx,
            Self::Sensors => Allow::Sensors,
            Self::Env(name) => Allow::Env(Some(name.clone())),
            Self::Slot { .. } | Self::Folder { .. } => return None,
        })
    }
}

/// What is asked for, in words for the operator: `connect to https://example.org`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = |mode: &Mode| if *mode == Mode::ReadOnly { "read" } else { "read and change" };
        match self {
            Self::AnyHost => f.write_str("connect to any host"),
            Self::Connect(address) => write!(f, "connect to `{address}`"),
            Self::Listen(listen) => write!(f, "listen at `{listen}`"),
            Self::Origin(address) => write!(f, "use files of `{address}`"),
            Self::Service(address) => write!(f, "dial `{address}`"),
            Self::Ai => f.write_str("use inference"),
            Self::ExecOwn => f.write_str("start programs of its own bundle"),
            Self::Exec(name) => write!(f, "start the app `{name}`"),
            Self::Admin(AdminRight::Stop) => f.write_str("stop other apps"),
            Self::Admin(AdminRight::Logs) => f.write_str("read the logs of other apps"),
            Self::Admin(AdminRight::Power) => f.write_str("turn this machine off and on"),
            Self::Gfx => f.write_str("draw on a window or screen"),
            Self::Sensors => f.write_str("read the sensors"),
            Self::Env(name) => write!(f, "take the variable or secret `{name}`"),
            Self::Slot { slot, mount, mode } => {
                write!(f, "{} the path bound to its slot `{slot}`, at `{mount}`", access(mode))
            }
            Self::Folder { folder, mount, mode } => {
                write!(f, "{} the folder `{folder}` beside its manifest, at `{mount}`", access(mode))
            }
        }
    }
}

/// Everything an app reaches for, in the order of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub Vec<Request>);

impl Requests {
    /// The narrowest grants that answer all requests but the paths of the host: what is stored when the operator says
    /// yes to what was listed, so that a later version that asks for more is asked about again.
    #[must_use]
    pub fn narrowest(&self) -> Vec<Allow> {
        self.0.iter().filter_map(Request::narrowest).collect()
    }

    /// One line for each request.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(|request| format!("{request} (`{}`)", request.key())).collect()
    }
}

impl App {
    /// Everything the app reaches for.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let asked = &self.permissions;
        let mut list = Vec::new();
        let mut when = |asked: bool, request: Request| {
            if asked {
                list.push(request);
            }
        };
        when(asked.net.anywhere, Request::AnyHost);
        when(asked.ai.is_some(), Request::Ai);
        when(asked.exec.own, Request::ExecOwn);
        when(asked.gfx, Request::Gfx);
        when(asked.sensors, Request::Sensors);
        list.extend(asked.net.connect.iter().map(|endpoint| match endpoint {
            Endpoint::Service(address) => Request::Service(address.clone()),
            Endpoint::Host(address) => Request::Connect(address.clone()),
        }));
        list.extend(asked.net.listen.iter().cloned().map(Request::Listen));
        list.extend(asked.exec.run.iter().cloned().map(Request::Exec));
        list.extend(asked.admin.iter().copied().map(Request::Admin));
        list.extend(self.env_from.iter().cloned().map(Request::Env));
        for mount in &self.fs {
            let (place, mode) = (mount.mount.clone(), mount.mode);
            match (&mount.source, mount.kind) {
                (_, MountKind::Memfs) | (None, _) => {}
                (Some(Source::Url(url)), _) => list.push(Request::Origin(url.origin.clone())),
                (Some(Source::Slot(slot)), _) => {
                    list.push(Request::Slot { slot: slot.clone(), mount: place, mode });
                }
                (Some(Source::Folder(folder)), _) => {
                    list.push(Request::Folder { folder: folder.clone(), mount: place, mode });
                }
            }
        }
        Requests(list)
    }
}
