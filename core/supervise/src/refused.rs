//! Why what was asked for is not done.

use alloc::vec::Vec;
use core::fmt;

use qyv_spec::Name;

use crate::supervisor::{APPS_MAX, SLOTS_MAX};

/// Why a request is refused. Nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such app.
    Unknown(Name),
    /// The app is being removed.
    Removing(Name),
    /// The app is named twice in one deploy.
    Twice(Name),
    /// These apps wait for each other, each for the next and the last for the first.
    Circle(Vec<Name>),
    /// A number of the app is beyond what a manifest may say.
    OutOfRange(Name),
    /// The generation is not higher than those before it.
    OldGeneration(Name),
    /// The app may not have so many slots.
    TooManyReplicas {
        /// The app.
        name: Name,
        /// Most that its `limits.instances` allows.
        most: u32,
    },
    /// This host has no room for more apps.
    TooManyApps,
    /// This host has no room for more slots.
    TooManySlots,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no app `{name}`: `qyvol ps` lists them"),
            Self::Removing(name) => write!(f, "`{name}` is being removed: deploy it again"),
            Self::Twice(name) => write!(f, "`{name}` is deployed twice: name it once"),
            Self::Circle(names) => {
                f.write_str("these apps wait for each other: ")?;
                for name in names {
                    write!(f, "`{name}` → ")?;
                }
                if let Some(first) = names.first() {
                    write!(f, "`{first}`")?;
                }
                f.write_str("; take one out of a `depends_on`")
            }
            Self::OutOfRange(name) => {
                write!(f, "a time or number of `{name}` is out of range: check its manifest")
            }
            Self::OldGeneration(name) => {
                write!(f, "`{name}` has a newer generation already: deploy it again")
            }
            Self::TooManyReplicas { name, most } => {
                write!(f, "`{name}` may have at most {most} instances: raise its `limits.instances`")
            }
            Self::TooManyApps => write!(f, "a host holds at most {APPS_MAX} apps: remove some"),
            Self::TooManySlots => write!(f, "a host holds at most {SLOTS_MAX} instances: scale some down"),
        }
    }
}

impl core::error::Error for Refused {}
