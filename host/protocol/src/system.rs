//! What programs ask of `service://qyvold`, and what workers ask the daemon for them.
//!
//! A program speaks with its worker, in lines of JSON ([`VERSION`], `docs/abi.md`); the worker asks the daemon what it may not
//! decide itself, in an [`Ask`], and gets an [`Answer`]. So the daemon reads nothing that a guest wrote but the fields of
//! [`Question`], and the bytes of children stay in the worker that runs them.
//!
//! The daemon keeps nothing between two questions: who asks is said anew in each, and looked up.

use std::path::PathBuf;

use qyv_spec::app::{AppLimits, Hash};
use qyv_spec::manifest::Kind;
use qyv_spec::service::{Endpoint, Name, ServiceAddress};
use serde::{Deserialize, Serialize};

use crate::InstanceId;
use crate::api::Ended;
use crate::worker::{Mount, Packaged, Secret};

/// The version of the conversation with programs: `v` of each request and answer.
pub const VERSION: u32 = 1;

/// The name of the service.
pub const SERVICE: &str = "qyvold";

/// The most questions of one worker that wait for an answer.
pub const ASKS_MAX: usize = 64;

/// The most programs through which one may have been started.
pub const CHAIN_MAX: usize = 16;

/// The most apps in one [`Told::Apps`].
pub const APPS_MAX: usize = 100;

/// The most lines of a log in one answer.
pub const LINES_MAX: usize = 1000;

/// The most bytes of text in the lines of one answer.
pub const LINES_BYTES_MAX: usize = 256 << 10;

/// A question, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Comes back with the answer.
    pub number: u64,
    /// The instance on whose behalf it is asked: one that the worker runs.
    pub instance: InstanceId,
    /// When it is not a program of the instance's own app that asks: the apps through which it was started, the one that
    /// the instance started first. What it may do is what all of them may.
    pub via: Vec<Name>,
    /// What is asked.
    pub question: Question,
}

/// What programs ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// To start a program (`permissions.exec`).
    Run {
        /// An installed app; `None` is a program of the bundle of who asks.
        app: Option<Name>,
        /// Which program of its own bundle, as the app sees it; `None` is the one that the app itself runs.
        program: Option<String>,
        /// Whether its native code was looked for and is not in the cache.
        compile: bool,
    },
    /// Which apps there are (any of `permissions.admin`).
    Apps {
        /// Those after this one, by name.
        after: Option<Name>,
    },
    /// What one app does (any of `permissions.admin`).
    Inspect {
        /// Which one.
        app: Name,
    },
    /// To stop, start or restart an app (`permissions.admin: [stop]`).
    Change {
        /// Which one.
        app: Name,
        /// What is to become of it.
        to: Change,
    },
    /// What an app has printed last (`permissions.admin: [logs]`).
    Logs {
        /// Which one.
        app: Name,
        /// How many lines, at most [`LINES_MAX`].
        tail: usize,
    },
}

/// What is to become of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It stops until somebody starts it.
    Stop,
    /// It starts.
    Start,
    /// It stops and starts.
    Restart,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The number of the question.
    pub number: u64,
    /// What is answered.
    pub told: Told,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// It is not done.
    Refused(Refused),
    /// It is done.
    Done,
    /// Run a program of the bundle of who asked: with all that who asked has.
    Own(Option<Packaged>),
    /// Run a program of another app.
    Child(Box<Child>),
    /// Apps, sorted by name.
    Apps {
        /// At most [`APPS_MAX`].
        apps: Vec<AppState>,
        /// Whether there are more after the last one.
        more: bool,
    },
    /// One app.
    App(Box<AppState>),
    /// What an app has printed, the oldest line first.
    Lines(Vec<Line>),
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// One word for programs.
    pub kind: RefusedKind,
    /// What happened, for people.
    pub message: String,
    /// How to mend it: for [`RefusedKind::Denied`] the line of the manifest that asks for it.
    pub hint: Option<String>,
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// It was not granted.
    Denied,
    /// There is no such app, program or child.
    Unknown,
    /// It cannot be done as things stand.
    Conflict,
    /// As much is being done as there may be; it can be tried again.
    Busy,
    /// There is no daemon at the moment; it can be tried again.
    Unavailable,
    /// What was said is no request of this version.
    Malformed,
    /// It was tried, and failed.
    Failed,
}

/// What a worker needs to run a program of another app beside an instance. What it may reach is what it, and everybody
/// through whom it was started, were granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// The app.
    pub app: Name,
    /// Its bundle, a file of the daemon's store that never changes.
    pub bundle: PathBuf,
    /// The BLAKE3 of its program.
    pub module: Hash,
    /// Its arguments before those of the request.
    pub args: Vec<String>,
    /// Its environment before that of the request.
    pub env: Vec<(String, String)>,
    /// Whether its packaged files are shown at `/`.
    pub own_files: bool,
    /// What is mounted besides, sorted by place.
    pub mounts: Vec<Mount>,
    /// Secrets that all were granted.
    pub secrets: Vec<Secret>,
    /// The services that it may dial.
    pub dial: Vec<ServiceAddress>,
    /// The hosts that it may connect to: those that each of these allows.
    pub reach: Vec<Reach>,
    /// What it may use at most. Its memory, descriptors and processor time are counted with those of the instance too.
    pub limits: AppLimits,
}

/// The hosts that one app was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// These.
    pub connect: Vec<Endpoint>,
    /// And any host with a public address.
    pub anywhere: bool,
}

/// What programs are shown of an app: not its grants, nor what the operator gave to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppState {
    /// Its name.
    pub app: Name,
    /// Its version.
    pub version: String,
    /// Its life cycle.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// One word: `ready`, `starting`, `backing-off`, `done`, `stopped` …
    pub state: String,
    /// The same for people.
    pub status: String,
    /// How many instances it is to have.
    pub replicas: u32,
    /// How many of them are ready.
    pub ready: u32,
    /// How often its instances were restarted.
    pub restarts: u64,
    /// Its instances: of one app that was asked about by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<SlotState>,
}

/// One instance of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotState {
    /// Which replica, from 0.
    pub slot: u32,
    /// One word, as in [`AppState::state`].
    pub state: String,
    /// When it was started, in milliseconds since 1970; `null` when it does not run.
    pub started: Option<u64>,
    /// How the one before it ended.
    pub last_end: Option<Ended>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it was printed, in milliseconds since 1970.
    pub time: u64,
    /// Which replica printed it.
    pub slot: u32,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line.
    pub text: String,
}
