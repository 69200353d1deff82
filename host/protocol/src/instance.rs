//! The name of one run of an app.

use std::fmt;
use std::str::FromStr;

use qyv_spec::service::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One run of an app: which app, which of its replicas, and which generation of its deployment.
///
/// Written `logger.0@7`. One generation of a slot holds its lease; a later one never has a lower number, across restarts
/// of the daemon too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceId {
    /// The app.
    #[schemars(with = "String")]
    pub app: Name,
    /// The replica, from 0.
    pub slot: u32,
    /// The number of this start: the daemon gives it to no other start of any app.
    pub generation: u64,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}", self.app, self.slot, self.generation)
    }
}

impl FromStr for InstanceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no instance; write `app.slot@generation`, as in `logger.0@7`");
        let (rest, generation) = text.rsplit_once('@').ok_or_else(bad)?;
        let (app, slot) = rest.rsplit_once('.').ok_or_else(bad)?;
        Ok(Self {
            app: app.parse().map_err(|_| bad())?,
            slot: slot.parse().map_err(|_| bad())?,
            generation: generation.parse().map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_instance_reads_back() {
        let id: InstanceId = "my-app.3@12".parse().unwrap();
        assert_eq!((id.app.as_str(), id.slot, id.generation), ("my-app", 3, 12));
        assert_eq!(id.to_string(), "my-app.3@12");
        for bad in ["", "app", "app@1", "app.0", "App.0@1", "app.-1@1", "app.0@"] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad:?}");
        }
    }
}
