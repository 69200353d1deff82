//! Why the system does not do what it was asked.

use std::fmt;

use serde_json::Value;

use crate::error::Error;

/// Result of what is asked of the system.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why something was not done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The system could not be asked: neither `permissions.exec` nor `permissions.admin` was granted
    /// ([`Denied`](crate::ErrorKind::Denied)), or the connection has failed.
    Connection(Error),
    /// The system has answered that it does not do it.
    Refused(Refusal),
}

/// What the system says when it does not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    message: String,
    hint: Option<String>,
}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It was not granted.
    Denied,
    /// There is no such app, program or child.
    Unknown,
    /// It cannot be done as things stand.
    Conflict,
    /// As much is being done as may be. It can be tried again.
    Busy,
    /// The daemon is away. It can be tried again.
    Unavailable,
    /// It was tried, and failed; or something that this version of the SDK does not know.
    Failed,
}

impl Refusal {
    /// What sort of refusal it is.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// What the system says, with how to mend it when that is known.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn of(error: &Value) -> Option<Self> {
        let kind = match error["kind"].as_str()? {
            "denied" => RefusalKind::Denied,
            "unknown" => RefusalKind::Unknown,
            "conflict" => RefusalKind::Conflict,
            "busy" => RefusalKind::Busy,
            "unavailable" => RefusalKind::Unavailable,
            _ => RefusalKind::Failed,
        };
        let text = |name: &str| error[name].as_str().map(ToOwned::to_owned);
        Some(Self { kind, message: text("message").unwrap_or_default(), hint: text("hint") })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}
impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_says_what_mends_it() {
        let error = json!({ "kind": "denied", "message": "not granted", "hint": "ask for it" });
        let refusal = Refusal::of(&error).unwrap();
        assert_eq!(
            (refusal.kind(), refusal.to_string().as_str()),
            (RefusalKind::Denied, "not granted; ask for it")
        );
        let later = json!({ "kind": "tired", "message": "later", "hint": null });
        assert_eq!(Refusal::of(&later).unwrap().kind(), RefusalKind::Failed);
        assert_eq!(Refusal::of(&json!(null)), None);
    }
}
