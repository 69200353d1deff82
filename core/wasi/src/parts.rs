//! A process taken apart, for a host that answers another version of WASI with the same grants.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use qyv_vfs::{Budget, Charge, Node, Vfs};

use crate::process::LISTEN_FDS;
use crate::table::Kind;
use crate::{Listener, Process};

/// The descriptors that are no preopen and no listener.
const STANDARD_STREAMS: u64 = 3;

/// What a process was given.
pub struct Parts {
    /// The arguments, the program's name first.
    pub args: Vec<String>,
    /// The environment, without `QYV_LISTEN_FDS`: the listeners are no descriptors any more. Their names are still told.
    pub env: Vec<(String, String)>,
    /// The files that the nodes belong to.
    pub vfs: Vfs,
    /// The preopened directories by guest path; `None` is the closed root of
    /// [`deny_root`](crate::ProcessBuilder::deny_root).
    pub preopens: Vec<(String, Option<Node>)>,
    /// Whether any service may be dialled.
    pub services: bool,
    /// The listening sockets and their names.
    pub listeners: Vec<(String, Listener)>,
    /// The counter of [`Process::descriptors`]. Its limit is the most.
    pub descriptors: Budget,
    /// The standard streams in it, which stay open.
    pub streams: Charge,
}

impl Process {
    /// Takes a process apart that was not started.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let preopens = (0..)
            .map_while(|fd| self.table.get(fd).ok())
            .filter_map(|descriptor| {
                let path = descriptor.preopened_as()?.to_owned();
                match descriptor.kind {
                    Kind::Directory { node, .. } => Some((path, Some(node))),
                    Kind::ClosedRoot { .. } => Some((path, None)),
                    _ => None,
                }
            })
            .collect();
        let descriptors = self.table.counter().clone();
        let streams = self.table.into_charge(STANDARD_STREAMS);
        let split = |variable: &str| {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            (name.to_owned(), value.to_owned())
        };
        Parts {
            args: self.args.iter().map(ToOwned::to_owned).collect(),
            env: self.environ.iter().map(split).filter(|(name, _)| name != LISTEN_FDS).collect(),
            preopens,
            services: self.services,
            listeners: self.listeners,
            descriptors,
            streams,
            vfs: self.vfs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, ProcessBuilder};

    #[test]
    fn everything_that_was_given_comes_back() {
        let parts = ProcessBuilder::new()
            .arg("program")
            .arg("")
            .env("A", "b=c")
            .env("EMPTY", "")
            .deny_root()
            .services(true)
            .listener("web", Listener(5))
            .limits(Limits::with_fds(17))
            .build()
            .unwrap()
            .into_parts();
        assert_eq!(parts.args, ["program", ""]);
        let env = [("A", "b=c"), ("EMPTY", ""), ("QYV_LISTEN_NAMES", "web")];
        assert_eq!(parts.env, env.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(parts.preopens, [("/".into(), None)]);
        assert!(parts.services);
        assert_eq!(parts.listeners, [("web".into(), Listener(5))]);
        assert_eq!((parts.descriptors.limit(), parts.descriptors.used()), (17, 3));
        drop(parts.streams);
        assert_eq!(parts.descriptors.used(), 0);
    }
}
