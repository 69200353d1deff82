//! The resolved app: every default explicit, every request listed, every file with its size and hash.
//!
//! This is what is signed, stored and shown. It is written as JSON with integers only and sorted keys ([`App::to_json`]),
//! so that one app has one spelling.

mod check;
mod hash;
mod host;
mod json;
mod resolve;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::manifest::{
    AdminRight, EnvName, GuestPath, Isolation, Kind, Mode, MountKind, OwnFiles, Program, RelativePath,
    Restart, Runtime, Schedule, Scheduler, SchemaVersion, Service, Source, Version,
};
use crate::service::{Endpoint, Listen, Name};

pub use check::{
    ARGUMENT_BYTES_MAX, FDS_RANGE, FILES_MAX, INSTANCES_MAX, LIST_ITEMS_MAX, MEMORY_BYTES_MAX, REQUESTS_MAX,
    STACK_BYTES_MAX, STACK_BYTES_MIN, TEXT_BYTES_MAX,
};
pub use hash::Hash;
pub use host::{HostFeatures, Unavailable};
pub use json::{APP_JSON_BYTES_MAX, ReadError};
pub use resolve::{
    DISK_BYTES_DEFAULT, FDS_DEFAULT, HEALTH_INTERVAL_MS_DEFAULT, HEALTH_RETRIES_DEFAULT,
    HEALTH_START_PERIOD_MS_DEFAULT, HEALTH_TIMEOUT_MS_DEFAULT, INODES_DEFAULT, LOG_BYTES_DEFAULT,
    MEMORY_BYTES_DEFAULT, REQUESTS_DEFAULT, STACK_BYTES_DEFAULT, STOP_GRACE_MS_DEFAULT,
};

/// An app, resolved.
///
/// Values that came from [`App::from_json`] or [`Manifest::resolve`](crate::Manifest::resolve) have been checked; the
/// fields are open so that hosts can read them, not so that they can be made up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Version of the schema.
    pub qyv: SchemaVersion,
    /// The app's name.
    pub name: Name,
    /// The app's version.
    pub version: Version,
    /// One line for people.
    pub description: Option<String>,
    /// Under which terms it may be used.
    pub license: Option<String>,
    /// The language it was written in; decides nothing.
    pub language: Option<String>,
    /// Its life cycle.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the program is written against.
    pub runtime: Runtime,
    /// The program, one of `files`.
    pub entrypoint: RelativePath,
    /// How the program runs.
    pub program: Program,
    /// Every packaged file, sorted by path.
    pub files: Vec<PackagedFile>,
    /// Arguments, before those of the command line; the name of the program is not among them.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<EnvName, String>,
    /// Environment variables and secrets that the operator hands over.
    pub env_from: Vec<EnvName>,
    /// What it asks for.
    pub permissions: Asked,
    /// What is mounted besides its own files.
    pub fs: Vec<AppMount>,
    /// What it offers to others.
    pub services: Vec<Service>,
    /// Apps that must be ready before it starts.
    pub depends_on: Vec<Name>,
    /// Its share of the processors.
    pub scheduler: Scheduler,
    /// What it may use at most.
    pub limits: AppLimits,
    /// When it is started again.
    pub restart: Restart,
    /// How it is seen that it works.
    pub health: Option<AppHealth>,
    /// When it is started.
    pub schedule: Option<Schedule>,
    /// Milliseconds between being asked to stop and being stopped.
    pub stop_grace_ms: u64,
    /// Whom it shares a process of the host with.
    pub isolation: Isolation,
}

/// One packaged file. The guest sees it at `/` and its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagedFile {
    /// Where it stands, from the app's root.
    pub path: RelativePath,
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 hash of its bytes.
    pub blake3: Hash,
}

/// What an app asks for, resolved from `permissions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Its own files and private volume.
    pub fs: OwnFiles,
    /// The network outside and services.
    pub net: Net,
    /// Inference.
    pub ai: Option<Ai>,
    /// Starting programs.
    pub exec: Exec,
    /// Rights over other apps, sorted.
    pub admin: Vec<AdminRight>,
    /// A window or screen.
    pub gfx: bool,
    /// The sensors.
    pub sensors: bool,
}

/// What an app may dial and where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Net {
    /// Whether it may connect to any host. Services are always named.
    pub anywhere: bool,
    /// The services and hosts it may dial, sorted.
    pub connect: Vec<Endpoint>,
    /// Where it listens, in the order of the manifest.
    pub listen: Vec<Listen>,
}

/// Which models an app may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ai {
    /// The models; `None` is any.
    pub models: Option<Vec<Name>>,
    /// Whether it may teach them.
    pub learn: bool,
}

/// What an app may start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Programs of its own bundle.
    pub own: bool,
    /// Installed apps, sorted.
    pub run: Vec<Name>,
}

/// One mount, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppMount {
    /// What holds the files.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// Where the app sees them.
    pub mount: GuestPath,
    /// Where they come from; `None` for `memfs`.
    pub source: Option<Source>,
    /// Whether the app may change them.
    pub mode: Mode,
    /// Most bytes, for `memfs`.
    pub size: Option<u64>,
    /// Whether what was read is kept, for `netfs`.
    pub cache: bool,
}

/// What an app may use at most, every default explicit. `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppLimits {
    /// Bytes of memory: linear memories, GC heap, tables, `memfs` and host buffers together.
    pub memory: u64,
    /// Thousandths of a processor, over each 100 ms.
    pub cpu_milli: Option<u32>,
    /// Milliseconds of processor time.
    pub cpu_time_ms: Option<u64>,
    /// Milliseconds from start to end.
    pub wall_ms: Option<u64>,
    /// Bytes of stack.
    pub stack: u64,
    /// Open descriptors.
    pub fds: u32,
    /// Bytes in the private volume.
    pub disk: u64,
    /// Files and folders in the private volume, and in each `memfs`.
    pub inodes: u32,
    /// Bytes of log that are kept.
    pub log: u64,
    /// Instances at the same time.
    pub instances: u32,
    /// Requests at work in each instance of a handler; `None` is [`REQUESTS_DEFAULT`]. What was signed before there was
    /// the key reads back as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
}

/// How it is seen that an app works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppHealth {
    /// What is tried.
    pub probe: Probe,
    /// Milliseconds between two checks.
    pub interval_ms: u64,
    /// Milliseconds for an answer.
    pub timeout_ms: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Milliseconds after a start in which failures do not count, unless a check has succeeded.
    pub start_period_ms: u64,
}

/// What a health check tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A path that answers 200 to 299.
    Http(GuestPath),
    /// A service of the app's own that accepts a connection.
    Service(Name),
    /// The app's own program with these arguments, that ends with 0.
    Exec(Vec<String>),
}
