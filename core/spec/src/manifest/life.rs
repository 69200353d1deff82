//! What an app offers and waits for, how it is scheduled, limited, watched and restarted.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::path::GuestPath;
use crate::Invalid;
use crate::quantity::{Bytes, Cpus, Duration, shown};
use crate::service::Name;
use crate::text::text_value;

/// One entry of `services`: what the app offers to others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name: others dial `service://name`.
    pub name: Name,
    /// A number that tells several of one name apart, 1 to 65535.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub port: Option<u16>,
    /// How messages are told apart.
    #[serde(default)]
    pub proto: Protocol,
}

/// How the messages of a service are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// UTF-8 lines.
    #[default]
    Lines,
    /// A length in unsigned LEB128, then that many bytes.
    Frames,
    /// Raw bytes.
    Stream,
}

/// `scheduler`: the app's share of the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Scheduler {
    /// Who sets the weight in use.
    pub mode: SchedulerMode,
    /// How the next app to run is chosen.
    pub policy: SchedulerPolicy,
    /// Share against other apps, 1 to 10000.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    pub weight: u16,
}

impl Scheduler {
    /// Largest `weight`.
    pub const WEIGHT_MAX: u16 = 10_000;
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { mode: SchedulerMode::Fixed, policy: SchedulerPolicy::Fair, weight: 100 }
    }
}

/// Who sets the weight in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerMode {
    /// The manifest.
    Fixed,
    /// A model that learns from use, around the manifest's.
    Ai,
}

/// How the next app to run is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SchedulerPolicy {
    /// By what each has used, against its weight.
    #[serde(rename = "fair")]
    Fair,
    /// The same, and by what each is about to need.
    #[serde(rename = "fair + predictive")]
    FairPredictive,
}

/// `limits`: what the app may use at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory: linear memories, GC heap, tables, `memfs` and what the host holds for it, together; default `256MiB`.
    pub memory: Option<Bytes>,
    /// Processors, over each 100 ms; default: no limit.
    pub cpu: Option<Cpus>,
    /// Processor time from start to end; default: no limit.
    pub cpu_time: Option<Duration>,
    /// Time from start to end; default: no limit.
    pub wall: Option<Duration>,
    /// Stack of its calls; default `1MiB`, at most `64MiB`.
    pub stack: Option<Bytes>,
    /// Open files, folders and connections; default 256.
    #[cfg_attr(feature = "schema", schemars(range(min = 8, max = 65_536)))]
    pub fds: Option<u32>,
    /// Bytes in its private volume; default `1GiB`.
    pub disk: Option<Bytes>,
    /// Files and folders in its private volume, and in each `memfs`; default 65536.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub inodes: Option<u32>,
    /// Bytes of its log that are kept; default `30MiB`.
    pub log: Option<Bytes>,
    /// Instances that run at the same time; default 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1024)))]
    pub instances: Option<u32>,
    /// Requests that each instance has at work at the same time, where the program is a handler of HTTP requests; default
    /// 64.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1024)))]
    pub requests: Option<u32>,
}

/// `restart`: when an app that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Not again.
    Never,
    /// When it failed.
    OnFailure,
    /// However it ended.
    Always,
}

/// `health`: how it is seen that an app works. Names one of `http`, `service` and `exec`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// For `type: http`: a path that answers 200 to 299.
    pub http: Option<GuestPath>,
    /// One of the app's own services that accepts a connection.
    pub service: Option<Name>,
    /// Arguments that the app's own program is run with, beside the app; it is healthy when that ends with 0.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 256)))]
    pub exec: Option<Vec<String>>,
    /// Time between two checks; default `10s`.
    pub interval: Option<Duration>,
    /// Time for an answer; default `2s`.
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy, 1 to 100; default 3.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub retries: Option<u32>,
    /// Time after a start in which failures do not count, unless a check has succeeded; default `0s`.
    pub start_period: Option<Duration>,
}

/// `isolation`: whom an app shares a process of the host with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Others that are shared too.
    #[default]
    Shared,
    /// Nobody.
    Process,
}

/// `schedule`: when a command is started, as five fields of cron in UTC: minute, hour, day of the month, month, day of the
/// week (0 is Sunday). Each is `*`, a number, a range `1-5`, a step `*/15` or a comma list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    fields: [u64; 5],
}

/// The lowest and highest number of each field of a [`Schedule`].
const SCHEDULE_RANGES: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
];

impl Schedule {
    /// The numbers that each field allows, one bit each, in the order minute, hour, day, month, day of the week.
    #[must_use]
    pub const fn fields(&self) -> [u64; 5] {
        self.fields
    }
}

impl FromStr for Schedule {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: String| {
            let mend =
                "write five fields, minute, hour, day, month and day of the week, as in `*/15 * * * *`";
            Invalid::new(format!("`{}` is not a schedule: {why}", shown(text)), mend)
        };
        let mut parts = text.split(' ');
        let mut fields = [0; 5];
        for (field, (name, low, high)) in fields.iter_mut().zip(SCHEDULE_RANGES) {
            let part = parts.next().ok_or_else(|| bad(format!("it has no {name}")))?;
            *field = schedule_field(part, low, high)
                .ok_or_else(|| bad(format!("its {name} `{}` is not within {low} to {high}", shown(part))))?;
        }
        if parts.next().is_some() {
            return Err(bad("it has more than five fields".to_string()));
        }
        Ok(Self { text: text.to_string(), fields })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_value!(Schedule, "five fields of cron such as `*/15 * * * *`", "*/15 * * * *");

/// The numbers that one field allows, a bit each.
fn schedule_field(text: &str, low: u32, high: u32) -> Option<u64> {
    let number = |text: &str| -> Option<u32> {
        let plain = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|value| plain && (low..=high).contains(value))
    };
    let mut bits = 0;
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => {
                (range, step.parse().ok().filter(|value| *value > 0 && !step.starts_with('+'))?)
            }
            None => (item, 1_u8),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        for value in (first..=last).step_by(usize::from(step)) {
            bits |= 1 << value;
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_five_fields_within_their_ranges() {
        let fields = |text: &str| text.parse::<Schedule>().map(|s| s.fields());
        assert_eq!(
            fields("0,30 9-17/4 1 * 1-5").map(|f| (f[0], f[1], f[2], f[4])),
            Ok((1 | 1 << 30, 1 << 9 | 1 << 13 | 1 << 17, 2, 0b11_1110))
        );
        assert_eq!(fields("*/15 * * * *").map(|f| f[0]), Ok(1 | 1 << 15 | 1 << 30 | 1 << 45));
        for bad in [
            "",
            "*",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "1- * * * *",
            ", * * * *",
            "+1 * * * *",
            "*/+1 * * * *",
            "*  * * * *",
            "@daily",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad:?}");
        }
    }
}
