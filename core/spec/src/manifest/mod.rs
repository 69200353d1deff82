//! The manifest: what its author wrote, each value checked, no default filled in.
//!
//! Reading it proves that every value is well-formed by itself. That values fit together, and every default, is the
//! matter of [`App`](crate::App).

mod life;
mod mount;
mod path;
mod pattern;
mod rights;
mod selection;
mod words;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::quantity::Duration;
use crate::service::Name;

pub use life::{
    Health, Isolation, Limits, Protocol, Restart, Schedule, Scheduler, SchedulerMode, SchedulerPolicy,
    Service,
};
pub use mount::{Mode, Mount, MountKind, Mounts, Source, Url};
pub use path::{FILE_NAME_BYTES_MAX, GuestPath, PATH_BYTES_MAX, RelativePath};
pub use pattern::{FilePattern, never_packaged};
#[cfg(feature = "yaml")]
pub(crate) use rights::looks_like_bool;
pub use rights::{AdminRight, AdminRules, AiRules, ExecRules, NetRules, OwnFiles, Permissions, Right};
pub use selection::FileSelection;
pub use words::{EnvName, Kind, Program, Runtime, SchemaVersion, Version};

/// A manifest as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest's own language; 1.
    #[serde(default)]
    pub qyv: SchemaVersion,
    /// The app's name.
    pub name: Name,
    /// The app's version; default `0.0.0`.
    #[serde(default)]
    pub version: Version,
    /// One line for people.
    pub description: Option<String>,
    /// Under which terms it may be used, as an SPDX expression.
    pub license: Option<String>,
    /// The language it was written in. Informs people; decides nothing.
    pub language: Option<String>,
    /// The program. Its ending decides how it runs: `.wasm` or `.wat` by itself, `.jl` and `.lua` on the shared runtime of
    /// their language.
    pub entrypoint: RelativePath,
    /// What is packaged beside the entrypoint; default: the files that `env` and `args` name by guest path.
    pub files: Option<Vec<FilePattern>>,
    /// The app's life cycle; default `command`.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// What the program is written against; `wasi`.
    #[serde(default)]
    pub runtime: Runtime,
    /// Arguments, before those of the command line.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<EnvName, String>,
    /// Environment variables and secrets that the operator hands over, by name.
    #[serde(default)]
    pub env_from: Vec<EnvName>,
    /// What the app asks for; nothing when left out.
    #[serde(default)]
    pub permissions: Permissions,
    /// What is mounted besides the app's own files: one mount or a list.
    #[serde(default)]
    pub fs: Mounts,
    /// What the app offers to others.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Apps that must be ready, not only started, before this one starts.
    #[serde(default)]
    pub depends_on: Vec<Name>,
    /// The app's share of the processors.
    #[serde(default)]
    pub scheduler: Scheduler,
    /// What the app may use at most.
    #[serde(default)]
    pub limits: Limits,
    /// When it is started again; default `on-failure` for `service`, `http` and `web`, `never` for the others.
    pub restart: Option<Restart>,
    /// How it is seen that it works.
    pub health: Option<Health>,
    /// When a command is started.
    pub schedule: Option<Schedule>,
    /// Time between being asked to stop and being stopped; default `10s`.
    pub stop_grace: Option<Duration>,
    /// Whom the app shares a process of the host with; default `shared`.
    #[serde(default)]
    pub isolation: Isolation,
}
