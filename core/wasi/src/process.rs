//! One guest's state, and how it is set up.

use alloc::string::String;
use alloc::vec::Vec;

use qyv_vfs::{Budget, Error, Node, Result, Vfs};

use crate::abi::rights;
use crate::args::Strings;
use crate::denial::Denials;
use crate::origin::Origin;
use crate::poll::Start;
use crate::table::{Descriptor, Kind, Table};
use crate::{Clock, Denial, Interest, Limits, Source, Stream, Token, Wait};

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
    /// When a `poll_oneoff` that waits was first called. Any other call forgets it.
    pub(crate) poll_start: Option<Start>,
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

/// Sets up a [`Process`]. Default: no arguments, no environment, no files, standard streams, default limits, unlimited
/// memory.
#[derive(Default)]
#[must_use]
pub struct ProcessBuilder {
    args: Vec<String>,
    environ: Vec<(String, String)>,
    vfs: Option<Vfs>,
    preopens: Vec<(String, Option<Node>)>,
    limits: Limits,
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

    /// Adds an environment variable.
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

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
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
    /// `INVAL` when a string holds a NUL, a variable's name is empty or holds `=`, or the limit of descriptors is out
    /// of range; `OVERFLOW` when arguments or environment pass their limits; `MFILE` when the preopens pass the limit
    /// of descriptors; `NOMEM` when the budget is exhausted.
    pub fn build(self) -> Result<Process> {
        if self.environ.iter().any(|(name, _)| name.is_empty() || name.contains('=')) {
            return Err(Error::INVAL);
        }
        let environ: Vec<_> = self.environ.iter().map(|(name, value)| [name, "=", value].concat()).collect();
        let memory = self.memory.unwrap_or_else(Budget::unlimited);
        let mut table = Table::new(self.limits.fds, &memory)?;
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
        for (path, node) in self.preopens {
            let origin = Origin::preopen(&path);
            let kind = match node {
                Some(node) => Kind::Directory { node, origin },
                None => Kind::ClosedRoot { origin },
            };
            table.insert(Descriptor::new(kind, rights::DIRECTORY, rights::INHERITING, 0))?;
        }
        Ok(Process {
            vfs: self.vfs.unwrap_or_default(),
            table,
            args: Strings::new(&self.args)?,
            environ: Strings::new(&environ)?,
            memory,
            denials,
            poll_start: None,
            waits: 0,
            wait: Wait::default(),
        })
    }
}
