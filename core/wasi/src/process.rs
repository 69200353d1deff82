//! One guest's state, and how it is set up.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use qyv_vfs::{Budget, Error, Node, Result, Vfs};

use crate::abi::rights;
use crate::args::Strings;
use crate::denial::Denials;
use crate::origin::Origin;
use crate::resume::Resume;
use crate::table::{Descriptor, Kind, Table};
use crate::{Clock, Denial, Interest, Limits, Listener, Source, Stream, Token, Wait, services};

/// The WASI state of one guest: its files, descriptors, arguments, environment and what it waits for.
///
/// Every function of preview 1 but `proc_exit` is a method; see [`preview1!`](crate::preview1).
pub struct Process {
    pub(crate) vfs: Vfs,
    pub(crate) table: Table,
    pub(crate) args: Strings,
    pub(crate) environ: Strings,
    pub(crate) memory: Budget,
    pub(crate) denials: Denials,
    /// Whether `/svc` is there.
    pub(crate) services: bool,
    pub(crate) listeners: Vec<(String, Listener)>,
    pub(crate) resume: Option<Resume>,
    waits: u64,
    wait: Wait,
}

impl Process {
    /// What the host waits for on behalf of the call that returned `token`. For a token that is not the latest one
    /// there is nothing to wait for: the call is simply made again.
    #[must_use]
    pub fn wait(&self, token: Token) -> &Wait {
        const NOTHING: &Wait = &Wait { deadline: None, sources: Vec::new() };
        if token.0 == self.waits { &self.wait } else { NOTHING }
    }

    /// What was refused for want of a grant so far, at most [`DENIALS_MAX`](crate::limits::DENIALS_MAX) entries.
    #[must_use]
    pub fn denials(&self) -> &[Denial] {
        self.denials.list()
    }

    /// The counter of its open descriptors, standard streams and preopens included. It goes on counting for whoever holds a
    /// clone.
    #[must_use]
    pub fn descriptors(&self) -> &Budget {
        self.table.counter()
    }

    /// The guest's files.
    pub fn vfs(&mut self) -> &mut Vfs {
        &mut self.vfs
    }

    /// Makes a wait the latest one.
    pub(crate) fn wait_for(
        &mut self,
        deadline: Option<(Clock, u64)>,
        sources: impl IntoIterator<Item = (Source, Interest)>,
    ) -> Token {
        self.wait.deadline = deadline;
        self.wait.sources.clear();
        self.wait.sources.extend(sources);
        self.waits = self.waits.wrapping_add(1);
        Token(self.waits)
    }
}

/// The variable that lists the descriptors of the listeners, in the order in which they were added, with commas.
pub(crate) const LISTEN_FDS: &str = "QYV_LISTEN_FDS";
/// The variable that lists their names likewise.
const LISTEN_NAMES: &str = "QYV_LISTEN_NAMES";

/// Whether a variable tells the guest of its listeners.
fn is_listening_variable(name: &str) -> bool {
    matches!(name, LISTEN_FDS | LISTEN_NAMES)
}

/// Sets up a [`Process`]. Default: no arguments, no environment, no files, no services, standard streams, default
/// limits, unlimited memory.
#[derive(Default)]
#[must_use]
pub struct ProcessBuilder {
    args: Vec<String>,
    environ: Vec<(String, String)>,
    vfs: Option<Vfs>,
    preopens: Vec<(String, Option<Node>)>,
    services: bool,
    listeners: Vec<(String, Listener)>,
    limits: Limits,
    descriptors: Option<Budget>,
    memory: Option<Budget>,
}

impl ProcessBuilder {
    /// A builder with the defaults above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument; the first one is the program's name.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds an environment variable. `QYV_LISTEN_FDS` and `QYV_LISTEN_NAMES` are left out: they belong to
    /// [`listener`](Self::listener).
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environ.push((name.into(), value.into()));
        self
    }

    /// Gives the files that preopened nodes belong to.
    pub fn vfs(mut self, vfs: Vfs) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// Adds an open directory under this guest path. The first one is descriptor 3, the next one 4, and so on.
    pub fn preopen(mut self, path: &str, node: Node) -> Self {
        self.preopens.push((path.into(), Some(node)));
        self
    }

    /// Adds a closed directory at `/`, in the order of the preopens: every path in it is `ACCES` and is recorded as a
    /// denial. For apps without `permissions.fs`, which otherwise fail in their libc without a word.
    pub fn deny_root(mut self) -> Self {
        self.preopens.push(("/".into(), None));
        self
    }

    /// Says whether the guest may dial any service: then `/svc` is its last preopen, and also `svc` in a preopened `/`.
    pub fn services(mut self, services: bool) -> Self {
        self.services = services;
        self
    }

    /// Adds a listening socket, whose descriptor follows those of the preopens. All of them are told to the guest in the
    /// variables `QYV_LISTEN_FDS` and `QYV_LISTEN_NAMES`.
    pub fn listener(mut self, name: &str, listener: Listener) -> Self {
        self.listeners.push((name.into(), listener));
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Counts its open descriptors here, where others may count theirs: together they are no more than its limit. Without
    /// it the process has a counter of its own.
    pub fn descriptor_budget(mut self, budget: Budget) -> Self {
        self.descriptors = Some(budget);
        self
    }

    /// Sets the counter to which buffers and descriptors are charged.
    pub fn memory_budget(mut self, budget: Budget) -> Self {
        self.memory = Some(budget);
        self
    }

    /// Makes the process.
    ///
    /// # Errors
    ///
    /// `INVAL` when a string holds a NUL, a variable's name is empty or holds `=`, a listener's name is empty or holds a
    /// comma, a folder lies where the services are, or the limit of descriptors is out of range; `OVERFLOW` when
    /// arguments or environment pass their limits; `MFILE` when preopens and listeners pass the limit of descriptors;
    /// `NOMEM` when the budget is exhausted.
    pub fn build(self) -> Result<Process> {
        let bad_variable = |(name, _): &(String, String)| name.is_empty() || name.contains('=');
        let bad_listener = |(name, _): &(String, Listener)| name.is_empty() || name.contains(',');
        if self.environ.iter().any(bad_variable) || self.listeners.iter().any(bad_listener) {
            return Err(Error::INVAL);
        }
        let memory = self.memory.unwrap_or_else(Budget::unlimited);
        let mut table = Table::new(self.limits.fds, self.descriptors, &memory)?;
        for (stream, direction) in [
            (Stream::Stdin, rights::FD_READ),
            (Stream::Stdout, rights::FD_WRITE),
            (Stream::Stderr, rights::FD_WRITE),
        ] {
            table.insert(Descriptor::new(
                Kind::Source(Source::Stream(stream)),
                rights::STREAM | direction,
                0,
                0,
            ))?;
        }
        let denials = Denials::new(self.preopens.iter().map(|(path, _)| path.as_str()));
        let mut preopens: Vec<_> =
            self.preopens.into_iter().map(|(path, node)| preopened(&path, node)).collect();
        if self.services {
            if !denials.services_at_root() {
                return Err(Error::INVAL);
            }
            preopens.push(Kind::Services { origin: Origin::preopen(services::PATH) });
        }
        for kind in preopens {
            table.insert(Descriptor::new(kind, rights::DIRECTORY, rights::INHERITING, 0))?;
        }
        let mut listening = Vec::new();
        for (_, listener) in &self.listeners {
            let kind = Kind::Source(Source::Listener(*listener));
            let fd = table.insert(Descriptor::new(kind, rights::LISTENER, rights::ACCEPTED, 0))?;
            listening.push(fd.to_string());
        }
        let mut environ = self.environ;
        environ.retain(|(name, _)| !is_listening_variable(name));
        if !listening.is_empty() {
            let names: Vec<_> = self.listeners.iter().map(|(name, _)| name.as_str()).collect();
            environ.push((LISTEN_FDS.into(), listening.join(",")));
            environ.push((LISTEN_NAMES.into(), names.join(",")));
        }
        let environ: Vec<_> = environ.iter().map(|(name, value)| [name, "=", value].concat()).collect();
        Ok(Process {
            vfs: self.vfs.unwrap_or_default(),
            table,
            args: Strings::new(&self.args)?,
            environ: Strings::new(&environ)?,
            memory,
            denials,
            services: self.services,
            listeners: self.listeners,
            resume: None,
            waits: 0,
            wait: Wait::default(),
        })
    }
}

/// A folder that is there from the start, or the closed root.
fn preopened(path: &str, node: Option<Node>) -> Kind {
    let origin = Origin::preopen(path);
    match node {
        Some(node) => Kind::Directory { node, origin },
        None => Kind::ClosedRoot { origin },
    }
}
