//! The daemon's HTTP API: JSON over a Unix socket, version 1, beneath `/v1`.
//!
//! Times are milliseconds since 1970-01-01T00:00:00Z. A list is complete; what can grow without bound is a stream. Every
//! answer that is not 2xx is a [`Problem`]. What changes something is answered once it is durable.

use std::collections::BTreeMap;

use qyv_spec::app::Hash;
use qyv_spec::grants::Grants;
use qyv_spec::manifest::Kind;
use qyv_spec::service::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InstanceId;
use crate::worker::Wall;

/// The version of the API, the first component of every path.
pub const VERSION: &str = "v1";

/// The most bytes of a request's JSON body; bundles are uploaded apart and are bounded by the bundle's own limits.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// The most apps in one [`DeployRequest`].
pub const DEPLOY_APPS_MAX: usize = 10_000;

/// What the request is called in an archive of `POST /v1/deploy/bundles`, the first file of it.
pub const DEPLOY_REQUEST_FILE: &str = "deploy.json";

/// The trailer of a stream that tells at its end what it held, as JSON.
pub const SUMMARY_TRAILER: &str = "x-qyvol-summary";

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// One word for programs: `not-found`, `refused`, `conflict`, `invalid`, `too-large`, `unauthorized`, `busy`,
    /// `upgrade-required`, `unavailable`, `internal`.
    pub error: String,
    /// What happened, for people.
    pub message: String,
    /// How to mend it, when that is known.
    pub hint: Option<String>,
    /// Of a deployment: the bundles that the daemon does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub missing: Vec<Hash>,
}

/// `GET /v1/info`: the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: u64,
    /// The folder of its state.
    pub state: String,
    /// Where it answers clients of other hosts, when it does.
    #[serde(default)]
    pub remote: Option<Remote>,
    /// How many apps it looks after.
    pub apps: u64,
    /// How many instances run.
    pub instances: u64,
    /// Its workers.
    pub workers: Vec<WorkerInfo>,
}

/// Where a daemon answers clients of other hosts, over TLS and with its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// The address and port.
    pub address: String,
    /// The SHA-256 of its certificate, in hexadecimal digits.
    pub certificate: String,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerInfo {
    /// Its name.
    pub worker: String,
    /// Its process.
    pub pid: u32,
    /// How many instances it runs.
    pub instances: u64,
    /// Whether it runs one app alone.
    pub own: bool,
    /// The walls around it.
    pub walls: Vec<Wall>,
}

/// `POST /v1/deploy`: apps to run from now on, as one deployment. All or none is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The apps, at most [`DEPLOY_APPS_MAX`], each name once.
    pub apps: Vec<DeployApp>,
    /// Accept a lower version than the one that runs.
    #[serde(default)]
    pub force: bool,
}

/// One app of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployApp {
    /// The BLAKE3 of its bundle, which was uploaded with `PUT /v1/blobs/{hash}` or comes along.
    #[schemars(with = "String")]
    pub bundle: Hash,
    /// For a manifest that is run in place: its folder on this host, absolute.
    #[serde(default)]
    pub folder: Option<String>,
    /// What the operator grants it: stored with the app, shown as "granted at deploy".
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub grants: Grants,
    /// Folders of the host that it is shown besides what its manifest mounts.
    #[serde(default)]
    pub directories: Vec<Directory>,
    /// Variables besides those of its manifest.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Arguments after those of its manifest.
    #[serde(default)]
    pub args: Vec<String>,
    /// Another life cycle than its manifest's.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub kind: Option<Kind>,
    /// How many replicas run; `None` leaves what was, or one.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Accept a bundle that nobody signed. Always so for a manifest that is run in place.
    #[serde(default)]
    pub allow_unsigned: bool,
    /// The file that it was made of, absolute. Kept when it lies in the folder that the daemon follows: the app is then
    /// that file's, changes with it and goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// A folder of the host that the operator shows to an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where it is on the host, absolute.
    pub host: String,
    /// Where the app sees it.
    pub guest: String,
    /// Whether the app may not change it.
    pub read_only: bool,
}

/// The answer to a [`DeployRequest`]: what was accepted is stored and will run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    /// The apps, in the order of the request.
    pub apps: Vec<DeployedApp>,
    /// The number of the last event before this deployment: to follow what comes of it.
    pub event: u64,
}

/// One app that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployedApp {
    /// Its name.
    #[schemars(with = "String")]
    pub app: Name,
    /// Counts what was deployed under this name, from 1. The same as before when nothing has changed.
    pub revision: u64,
    /// Whether this differs from what ran.
    pub changed: bool,
}

/// One app in `GET /v1/apps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppSummary {
    /// Its name.
    #[schemars(with = "String")]
    pub app: Name,
    /// Its version.
    pub version: String,
    /// Its life cycle.
    #[schemars(with = "String")]
    pub kind: Kind,
    /// One word for programs: that of the instance that is worst off.
    pub state: String,
    /// The same for people, as in `waiting for db` or `crash-looping (4 restarts, next in 12s)`.
    pub status: String,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How many are ready.
    pub ready: u32,
    /// How often it was restarted since it was deployed.
    pub restarts: u64,
    /// When this revision was deployed.
    pub deployed: u64,
    /// The revision.
    pub revision: u64,
    /// The addresses that it listens on.
    pub listen: Vec<String>,
    /// The BLAKE3 of its bundle.
    #[schemars(with = "String")]
    pub image: Hash,
}

/// `GET /v1/apps/{app}`: all that is known of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppDetail {
    /// What the list says.
    pub summary: AppSummary,
    /// The app as it was resolved from its manifest.
    pub manifest: serde_json::Value,
    /// What was granted at deploy.
    #[schemars(with = "serde_json::Value")]
    pub grants: Grants,
    /// Folders that were shown at deploy.
    pub directories: Vec<Directory>,
    /// Variables that were given at deploy; the values of secrets are never among them.
    pub env: BTreeMap<String, String>,
    /// The file of the followed folder that it stands for.
    #[serde(default)]
    pub followed: Option<String>,
    /// What it is known for that differs from what it asks for, a sentence each: `scheduler.mode: ai runs as fixed`.
    pub notes: Vec<String>,
    /// Its instances.
    pub instances: Vec<InstanceDetail>,
    /// Earlier revisions that can be rolled back to, newest first.
    pub revisions: Vec<Revision>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceDetail {
    /// Which one.
    pub instance: InstanceId,
    /// One word for programs.
    pub state: String,
    /// The same for people.
    pub status: String,
    /// When it was started.
    pub started: Option<u64>,
    /// Its worker, when it runs.
    pub worker: Option<String>,
    /// How the one before it ended.
    pub last_end: Option<Ended>,
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// When.
    pub time: u64,
    /// One word: `exit`, `trap`, `memory`, `cpu_time`, `timeout`, `killed`, `stopped`, `worker-lost`, `not-started`.
    pub cause: String,
    /// The exit code, as `qyvol run` would give it.
    pub code: u8,
    /// What happened, for people.
    pub message: String,
    /// What it was refused for want of a grant, a line each.
    pub denials: Vec<String>,
}

/// A revision of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// When it was deployed.
    pub deployed: u64,
    /// The version of the app.
    pub version: String,
    /// The BLAKE3 of its bundle.
    #[schemars(with = "String")]
    pub image: Hash,
}

/// `POST /v1/apps/{app}/scale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How many replicas are to run, 0 to `limits.instances`.
    pub replicas: u32,
}

/// `POST /v1/apps/{app}/rollback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// To which revision; `None` is the one before.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// One line of `GET /v1/apps/{app}/logs`, a stream of JSON objects, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// When it was written.
    pub time: u64,
    /// Who wrote it.
    pub instance: InstanceId,
    /// `stdout`, `stderr`, or `qyvol` for what the host says about it.
    pub stream: String,
    /// The line, without its end. Bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// One event of `GET /v1/events`, a stream of server-sent events whose ids are `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Counts events for as long as the state lives: a client that was away resumes after the last one that it saw.
    pub id: u64,
    /// When.
    pub time: u64,
    /// What: `deployed`, `state`, `removed`, `scaled`, `exec`, `worker`, `daemon`, `manifest`.
    pub kind: String,
    /// The app that it is about.
    #[schemars(with = "Option<String>")]
    pub app: Option<Name>,
    /// The instance that it is about.
    pub instance: Option<InstanceId>,
    /// For `state`: the new state, one word.
    pub state: Option<String>,
    /// The same for people.
    pub message: String,
}

/// `GET /v1/manifests`: the folder whose manifests the daemon deploys by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifests {
    /// The folder.
    pub folder: String,
    /// Why the folder as a whole is not followed now.
    pub problem: Option<String>,
    /// Its files, in the order of their names.
    pub files: Vec<ManifestFile>,
}

/// One file of the followed folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// The file.
    pub file: String,
    /// The app that it stands for, when it could be read.
    #[schemars(with = "Option<String>")]
    pub app: Option<Name>,
    /// Why it is not deployed as it stands.
    pub problem: Option<String>,
    /// How to mend that.
    pub hint: Option<String>,
    /// When it was last tried, or when it changed last.
    pub time: u64,
}

/// One row of `GET /v1/usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageRow {
    /// Whose.
    pub instance: InstanceId,
    /// Nanoseconds of processor time since its start.
    pub cpu_ns: u64,
    /// Bytes of memory now.
    pub memory: u64,
    /// `limits.memory`.
    pub memory_limit: u64,
    /// Open descriptors.
    pub fds: u32,
    /// Open connections to and from services.
    pub connections: u32,
    /// Bytes written to its log.
    pub log_bytes: u64,
    /// Lines dropped from its log.
    pub log_dropped: u64,
    /// Requests answered.
    pub requests: u64,
}

/// One row of `GET /v1/images`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The BLAKE3 of the bundle.
    #[schemars(with = "String")]
    pub image: Hash,
    /// Its bytes.
    pub size: u64,
    /// The app within and its version.
    pub app: String,
    /// When it was stored.
    pub stored: u64,
    /// The apps that use it, now or in a revision that is kept.
    pub used_by: Vec<String>,
}

/// What `POST /v1/images/prune` removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pruned {
    /// How many.
    pub images: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// `GET /v1/apps/{app}/files/about`: what a path of an app names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    /// `file`, `folder` or `link`.
    pub kind: String,
    /// Bytes in a file, or in a link's target.
    pub size: u64,
}

/// One row of `GET /v1/volumes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    pub volume: String,
    /// The app that it belongs to, when that is still deployed.
    #[schemars(with = "Option<String>")]
    pub app: Option<Name>,
    /// Bytes in it.
    pub bytes: u64,
    /// Files and folders in it.
    pub inodes: u64,
}

/// One row of `GET /v1/net`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetService {
    /// The address, as in `service://logger` or `tcp://127.0.0.1:8080`.
    pub address: String,
    /// The app that offers it.
    #[schemars(with = "String")]
    pub app: Name,
    /// `lines`, `frames`, `stream` or `http`.
    pub proto: String,
    /// How many instances take connections.
    pub up: u32,
}

/// One row of `GET /v1/secrets`: never the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// When it was set.
    pub set: u64,
    /// The apps that are handed it.
    pub used_by: Vec<String>,
}

/// `POST /v1/apps/{app}/exec`: a program that is to run beside an instance. Asked with `upgrade: qyvol-session/1`, and answered
/// by 101 ([`session`](crate::session)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// Which replica, from 0; the first that runs when it is left out.
    #[serde(default)]
    pub slot: Option<u32>,
    /// Another program of the app's bundle, by where the app sees it; the app's own when it is left out.
    #[serde(default)]
    pub program: Option<String>,
    /// Its arguments, without the program's name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables besides those of the instance, or in their place.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it reads what the client writes; otherwise its input is empty.
    #[serde(default)]
    pub stdin: bool,
}
