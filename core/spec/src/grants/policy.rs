//! The policy of a host: what its apps get at most, and what some get without a question.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::allow::{Allow, Bind};
use super::request::Request;
use crate::Invalid;
use crate::app::{AppLimits, REQUESTS_DEFAULT};
use crate::manifest::{Limits, Mode};
use crate::quantity::shown;
use crate::service::Name;
use crate::text::text_value;

/// The policy of a host (`/etc/qyvol/policy.yaml`). The default caps nothing and grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of the policy's language; 1.
    pub policy: PolicyVersion,
    /// The most that any app may reach for; everything when left out, nothing when empty.
    #[serde(default)]
    pub allow: Option<Vec<Allow>>,
    /// The paths of the host that may be bound, and those beneath them; every path when left out.
    #[serde(default)]
    pub paths: Option<Vec<PathRule>>,
    /// The most that any app may use. An app that names more gets this.
    #[serde(default)]
    pub limits: Limits,
    /// What apps get without a question, by their names.
    #[serde(default)]
    pub apps: Vec<AppPolicy>,
}

/// The version of the policy's language. There is one so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyVersion;

impl<'de> Deserialize<'de> for PolicyVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => {
                let message = format!("policy version {other} is unknown: this build reads 1");
                Err(Invalid::new(message, "update qyvol, or write `policy: 1`").into_serde())
            }
        }
    }
}

/// What apps whose names match get without a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPolicy {
    /// The names.
    pub name: NamePattern,
    /// What they may reach.
    #[serde(default)]
    pub grant: Vec<Allow>,
    /// What their slots are bound to, unless the operator binds them otherwise.
    #[serde(default)]
    pub bind: Vec<Bind>,
}

/// A name, or the beginning of names with one `*` at the end: `acme-*`. `*` alone is every name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.as_str().starts_with(beginning),
            None => self.0 == name.as_str(),
        }
    }
}

impl FromStr for NamePattern {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // What follows the beginning makes it a name: `acme-` alone is none, `acme-x` is.
        let sample =
            text.strip_suffix('*').map_or_else(|| text.to_string(), |beginning| format!("{beginning}x"));
        match sample.parse::<Name>() {
            Ok(_) => Ok(Self(text.to_string())),
            Err(_) => Err(Invalid::new(
                format!("`{}` is not a name or the beginning of names", shown(text)),
                "write `acme-viewer`, `acme-*` or `*`",
            )),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(NamePattern, "a name or the beginning of names such as `acme-*`", "acme-*");

/// `/srv/in` or `/srv/in:ro`: a path of the host that may be bound, with what is beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    path: String,
    mode: Mode,
}

impl PathRule {
    /// Whether `path`, absolute and resolved by the host, may be bound with `mode`.
    #[must_use]
    pub fn covers(&self, path: &str, mode: Mode) -> bool {
        let root = self.path.trim_end_matches('/');
        let beneath = path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let plain = path.starts_with('/') && !path.split('/').any(|name| name == "." || name == "..");
        beneath && plain && mode <= self.mode
    }
}

impl FromStr for PathRule {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (path, mode) = match text.rsplit_once(':') {
            Some((path, "ro")) => (path, Mode::ReadOnly),
            Some((path, "rw")) => (path, Mode::ReadWrite),
            _ => (text, Mode::ReadWrite),
        };
        if !path.starts_with('/')
            || path.split('/').any(|name| name == "." || name == "..")
            || path.contains('\0')
        {
            return Err(Invalid::new(
                format!("`{}` is not an absolute path without `.` and `..`", shown(text)),
                "write it as in `/srv/in` or `/srv/in:ro`",
            ));
        }
        Ok(Self { path: path.to_string(), mode })
    }
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.mode == Mode::ReadOnly { ":ro" } else { "" };
        write!(f, "{}{mode}", self.path)
    }
}

text_value!(PathRule, "an absolute path such as `/srv/in` or `/srv/in:ro`", "/srv/in:ro");

impl Policy {
    /// Whether the policy lets any app reach for `request`.
    #[must_use]
    pub fn allows(&self, request: &Request) -> bool {
        self.allow.as_ref().is_none_or(|list| list.iter().any(|allow| allow.covers(request)))
    }

    /// Whether the policy lets any app have the environment variable `name`, whoever gives its value.
    #[must_use]
    pub fn allows_variable(&self, name: &str) -> bool {
        self.allow.as_ref().is_none_or(|list| {
            list.iter().any(|allow| match allow {
                Allow::All | Allow::Env(None) => true,
                Allow::Env(Some(mine)) => mine.as_str() == name,
                _ => false,
            })
        })
    }

    /// Whether the policy lets `path`, absolute and resolved by the host, be bound with `mode`.
    #[must_use]
    pub fn allows_path(&self, path: &str, mode: Mode) -> bool {
        self.paths.as_ref().is_none_or(|list| list.iter().any(|rule| rule.covers(path, mode)))
    }

    /// `asked`, and nothing above what the policy names.
    #[must_use]
    pub fn cap(&self, asked: &AppLimits) -> AppLimits {
        fn least<T: Ord>(asked: Option<T>, most: Option<T>) -> Option<T> {
            match (asked, most) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        let most = &self.limits;
        let bytes =
            |asked: u64, most: Option<crate::quantity::Bytes>| most.map_or(asked, |most| asked.min(most.0));
        AppLimits {
            memory: bytes(asked.memory, most.memory),
            cpu_milli: least(asked.cpu_milli, most.cpu.map(|cpus| cpus.0)),
            cpu_time_ms: least(asked.cpu_time_ms, most.cpu_time.map(|time| time.0)),
            wall_ms: least(asked.wall_ms, most.wall.map(|time| time.0)),
            stack: bytes(asked.stack, most.stack),
            fds: asked.fds.min(most.fds.unwrap_or(u32::MAX)),
            disk: bytes(asked.disk, most.disk),
            inodes: asked.inodes.min(most.inodes.unwrap_or(u32::MAX)),
            log: bytes(asked.log, most.log),
            instances: asked.instances.min(most.instances.unwrap_or(u32::MAX)),
            requests: least(asked.requests.or(most.requests.map(|_| REQUESTS_DEFAULT)), most.requests),
        }
    }
}
