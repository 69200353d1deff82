//! The conversation between the daemon and one worker.
//!
//! A worker is a process that runs instances. The daemon binds a Unix socket for it, starts it with that socket as
//! descriptor [`CONTROL_FD`], and connects; after a crash or an upgrade of the daemon, the next one connects to the same
//! socket. The one who connects says [`ToWorker::Hello`], the worker answers with [`FromWorker::Welcome`] and everything
//! that it runs; from then on either side speaks when it has something to say. A worker listens to one daemon at a time:
//! the one with the highest lease. Messages are framed as in [`channel`](crate::channel).

use std::collections::BTreeMap;
use std::path::PathBuf;

use qyv_spec::app::{AppLimits, Hash, Probe};
use qyv_spec::manifest::{GuestPath, Kind, Mode, Service};
use qyv_spec::service::{Endpoint, Name, ServiceAddress};
use serde::{Deserialize, Serialize};

use crate::InstanceId;
use crate::system::{Answer, Ask};

/// The version of this conversation. Both sides must speak the same one: a daemon that finds workers of another version
/// lets them drain.
pub const VERSION: u32 = 1;

/// The first argument of a worker's process.
pub const WORKER_ARGUMENT: &str = "--qyvol-worker";

/// The first argument of a process that compiles one bundle's program into the cache.
pub const PREPARE_ARGUMENT: &str = "--qyvol-prepare";

/// The descriptor on which a worker finds the socket that it is to accept its daemon on.
pub const CONTROL_FD: i32 = 3;

/// The descriptor on which a worker finds the socket on which other workers dial its services.
pub const SERVICES_FD: i32 = 4;

/// The variable of its environment in which a worker finds the word that its daemon knows.
pub const TOKEN_VARIABLE: &str = "QYVOL_WORKER_TOKEN";

/// The variable that names a file of certificates: whom requests of apps over TLS trust. It is all that a worker is given of
/// its daemon's own environment.
pub const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// How long a worker whose daemon went away, and did not come back, goes on, in seconds.
pub const ORPHAN_SECONDS: u64 = 60;

/// How long instances have to stop when their worker is replaced, in seconds. Then they are killed.
pub const DRAIN_SECONDS: u64 = 10;

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToWorker {
    /// The first message.
    Hello(Hello),
    /// Run an instance. Its listening sockets come along as descriptors, in the order of [`Start::listen`].
    Start(Box<Start>),
    /// End an instance politely: its sockets accept no more, its input ends.
    Stop {
        /// Which one.
        instance: InstanceId,
    },
    /// End an instance now.
    Kill {
        /// Which one.
        instance: InstanceId,
    },
    /// Look whether an instance works.
    Probe {
        /// Which one.
        instance: InstanceId,
        /// Comes back with the answer.
        probe: u64,
        /// What to try.
        what: Probe,
        /// Milliseconds for an answer.
        timeout_ms: u64,
    },
    /// Run a program of an instance's app beside the instance. One descriptor comes along: the connection of the client, to
    /// whom the rest is said ([`session`](crate::session)).
    Exec(Box<Exec>),
    /// Copy an instance's output from now on. One descriptor comes along: the connection of the client, to whom the rest is
    /// said ([`session`](crate::session)).
    Attach {
        /// Which one.
        instance: InstanceId,
    },
    /// Who offers what, from now on: the whole list.
    Routes(Vec<Route>),
    /// What an app may dial was taken back: its connections end.
    Revoke {
        /// The app.
        app: Name,
        /// What it may still dial.
        dial: Vec<ServiceAddress>,
        /// The hosts that it may still connect to.
        connect: Vec<Endpoint>,
        /// Whether it may still connect to any host with a public address.
        anywhere: bool,
    },
    /// The answer to an [`Ask`].
    Answer(Box<Answer>),
    /// Tell what the instances have used.
    Usage {
        /// Comes back with the answer.
        request: u64,
    },
    /// Take no more instances and end with the last one.
    Drain,
}

/// The first message of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// [`VERSION`] of the daemon.
    pub version: u32,
    /// Grows with every start of a daemon on one state: a worker listens to the highest that it has seen.
    pub lease: u64,
    /// What the worker found in [`TOKEN_VARIABLE`] when it was started: other processes of its user, workers above all, do
    /// not know it.
    pub token: String,
}

/// Everything that an instance needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Which instance.
    pub instance: InstanceId,
    /// Which revision of its app this is: comes back in [`Running`], for a daemon that did not start it.
    pub revision: u64,
    /// The bundle, a file of the daemon's store that never changes.
    pub bundle: PathBuf,
    /// The BLAKE3 of the program within, by which its native code is found in the cache.
    pub module: Hash,
    /// Its life cycle; the operator may have chosen another than the manifest.
    pub kind: Kind,
    /// The arguments, without the program's name.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Whether its packaged files are shown at `/`.
    pub own_files: bool,
    /// What is mounted besides, sorted by place.
    pub mounts: Vec<Mount>,
    /// Secrets, each a file of that name in `/run/secrets`. Never logged.
    pub secrets: Vec<Secret>,
    /// The services that it may dial.
    pub dial: Vec<ServiceAddress>,
    /// The hosts that it may connect to.
    pub connect: Vec<Endpoint>,
    /// Whether it may connect to any host with a public address.
    pub anywhere: bool,
    /// What it offers.
    pub services: Vec<Service>,
    /// The listening sockets that come along, by the address as in the manifest.
    pub listen: Vec<String>,
    /// What it may use at most, capped by the host's policy.
    pub limits: AppLimits,
    /// Its share against other apps, 1 to 10000.
    pub weight: u16,
    /// Its log file; rotated ones lie beside it.
    pub log: PathBuf,
    /// What to try before the instance counts as ready; an instance without it is ready when it runs and listens.
    pub health: Option<Probe>,
}

/// A program to run beside an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The instance whose files, grants and limits it shares.
    pub instance: InstanceId,
    /// Another program of the app's bundle than that of the instance, whose native code is in the cache.
    pub program: Option<Packaged>,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// Variables besides those of the instance, or in their place.
    pub env: BTreeMap<String, String>,
    /// Whether it reads what the client writes; otherwise its input is empty.
    pub stdin: bool,
}

/// A packaged program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packaged {
    /// Where the app sees it; its name in its arguments.
    pub path: GuestPath,
    /// The BLAKE3 of its portable bytes.
    pub module: Hash,
}

/// One mount of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where the app sees it.
    pub place: GuestPath,
    /// Whether it may change it.
    pub mode: Mode,
    /// What holds the files.
    pub from: MountFrom,
}

/// What holds the files of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MountFrom {
    /// Memory, gone with the instance.
    Memory {
        /// Most bytes.
        bytes: u64,
    },
    /// The app's private volume, held to `limits.disk` and `limits.inodes`.
    Volume {
        /// The folder of the host.
        path: PathBuf,
    },
    /// A folder of the host.
    Folder {
        /// The folder of the host.
        path: PathBuf,
        /// A folder beneath it, which is what is shown; no link leads out of `path`.
        beneath: Option<PathBuf>,
    },
}

/// A secret that an app is handed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where a service is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The service.
    pub service: Service,
    /// What its app says about itself.
    pub description: Option<String>,
    /// Who serves it.
    pub instance: InstanceId,
    /// The Unix socket of the worker that runs it; `None` when that is the worker which is told.
    pub socket: Option<PathBuf>,
    /// Whether it takes connections.
    pub up: bool,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromWorker {
    /// The answer to [`Hello`].
    Welcome(Welcome),
    /// The answer to a [`Hello`] with another version or a lower lease. The worker hangs up.
    Refused {
        /// Why.
        message: String,
        /// Whether it stops its instances and ends, as it does when only the version is wrong: nobody will speak its own any
        /// more.
        #[serde(default)]
        ends: bool,
    },
    /// An instance runs.
    Started {
        /// Which one.
        instance: InstanceId,
    },
    /// An instance cannot be started yet: its native code is not in the cache. The daemon has it compiled and asks again.
    NotCompiled {
        /// Which one.
        instance: InstanceId,
        /// Its program.
        module: Hash,
    },
    /// An instance could not be started, and trying again does not help.
    Failed {
        /// Which one.
        instance: InstanceId,
        /// Why, and how to mend it.
        message: String,
    },
    /// A service of an instance takes connections, or no longer.
    Serving {
        /// Which one.
        instance: InstanceId,
        /// The service.
        service: Name,
        /// Its port, when it has one.
        port: Option<u16>,
        /// Whether it takes connections.
        up: bool,
    },
    /// An instance is ready to work.
    Ready {
        /// Which one.
        instance: InstanceId,
    },
    /// The answer to a probe.
    Probed {
        /// Which one.
        instance: InstanceId,
        /// The number of the question.
        probe: u64,
        /// Whether it works.
        ok: bool,
        /// Why not.
        message: String,
    },
    /// A program asks something of the system. An answer is sent for each.
    Ask(Box<Ask>),
    /// An instance has ended.
    Exited(Box<Exited>),
    /// The answer to [`ToWorker::Usage`].
    Usage {
        /// The number of the question.
        request: u64,
        /// What each instance has used.
        instances: Vec<Used>,
    },
}

/// The first message of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// [`VERSION`] of the worker.
    pub version: u32,
    /// Its name, which is that of its folder.
    pub worker: String,
    /// Its process.
    pub pid: u32,
    /// The walls that are on around it.
    pub walls: Vec<Wall>,
    /// What it runs.
    pub running: Vec<Running>,
    /// What has ended while no daemon listened.
    pub ended: Vec<Exited>,
}

/// A wall around a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wall {
    /// `landlock`, `seccomp`, `rlimits`, `no-new-privileges`.
    pub name: String,
    /// Whether it is really on.
    pub on: bool,
    /// How far it goes, or why it is off.
    pub detail: String,
}

/// An instance that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// Which one.
    pub instance: InstanceId,
    /// [`Start::revision`].
    pub revision: u64,
    /// Whether it has been ready.
    pub ready: bool,
    /// Milliseconds since its start.
    pub age_ms: u64,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exited {
    /// Which one.
    pub instance: InstanceId,
    /// One word: `exit`, `trap`, `memory`, `cpu_time`, `timeout`, `killed`, `stopped`.
    pub cause: String,
    /// The exit code, as `qyvol run` would give it.
    pub code: u8,
    /// What happened, for people; of a trap its reason and backtrace.
    pub message: String,
    /// What it was refused for want of a grant, a line each.
    pub denials: Vec<String>,
    /// What it used from start to end.
    pub used: Used,
}

/// What an instance has used so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Which one.
    pub instance: InstanceId,
    /// Nanoseconds of processor time.
    pub cpu_ns: u64,
    /// Bytes of memory now, by the counter of `limits.memory`.
    pub memory: u64,
    /// The most bytes that it ever held.
    pub memory_peak: u64,
    /// Open descriptors.
    pub fds: u32,
    /// Connections to and from services that are open.
    pub connections: u32,
    /// Bytes written to its log.
    pub log_bytes: u64,
    /// Lines that were dropped because it wrote faster than its log may grow.
    pub log_dropped: u64,
    /// Requests that it has answered, for `type: http`.
    pub requests: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_and_an_unknown_one_is_refused() {
        let message = ToWorker::Hello(Hello { version: VERSION, lease: 7, token: "t".into() });
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, r#"{"hello":{"version":1,"lease":7,"token":"t"}}"#);
        assert_eq!(serde_json::from_str::<ToWorker>(&text).unwrap(), message);
        assert!(
            serde_json::from_str::<ToWorker>(r#"{"hello":{"version":1,"lease":7,"token":"t","more":0}}"#)
                .is_err()
        );
        assert!(serde_json::from_str::<ToWorker>(r#""shutdown""#).is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret { name: "key".into(), value: b"hunter2".to_vec() };
        assert_eq!(format!("{secret:?}"), "Secret { name: \"key\", .. }");
    }
}
