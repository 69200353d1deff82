//! What an app reaches for, what its operator allowed, and the decision between them.
//!
//! Own things need no question: packaged files, the private volume, memory, clocks, randomness, inference, services of the
//! same deployment. Reaching out does. Paths of the host come only by a slot that the operator binds, or, for a manifest
//! that is run in place, from its own folder.

mod allow;
mod decide;
mod policy;
mod request;
mod within;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use allow::{Allow, Bind, parse_allow_list};
pub use decide::{Capabilities, GrantedMount, MountedFrom, Refusal, Setting, decide};
pub use policy::{AppPolicy, NamePattern, PathRule, Policy, PolicyVersion};
pub use request::{Request, Requests};

/// What an operator allowed one app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// What it may reach.
    pub allow: Vec<Allow>,
    /// The paths of the host that its slots are bound to.
    pub bind: Vec<Bind>,
}
