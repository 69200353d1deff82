//! Why a request fails, as the API says it.

use axum::http::StatusCode;
use qyv_spec::app::Hash;
use qyv_supervise::Refused;
use qyvol_protocol::api::Problem;

/// Why a request fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Bundles that are to be sent along.
    pub(crate) missing: Vec<Hash>,
}

/// What sort of failure it is: decides the status, and is the word for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invalid,
    NotFound,
    Conflict,
    TooLarge,
    UpgradeRequired,
    Refused,
    Unauthorized,
    Busy,
    Unavailable,
    Internal,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too-large",
            Self::UpgradeRequired => "upgrade-required",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl ToString) -> Self {
        Self { kind, message: message.to_string(), hint: None, missing: Vec::new() }
    }

    pub(crate) fn refused(message: impl ToString) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub(crate) fn invalid(message: impl ToString) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub(crate) fn hint(self, hint: impl ToString) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    pub(crate) fn missing(self, missing: Vec<Hash>) -> Self {
        Self { missing, ..self }
    }

    /// As it goes over the wire.
    pub(crate) fn problem(self) -> Problem {
        let Self { kind, message, hint, missing } = self;
        Problem { error: kind.word().to_owned(), message, hint, missing }
    }
}

impl From<qyvold_store::Error> for Fault {
    fn from(error: qyvold_store::Error) -> Self {
        use qyvold_store::Error as E;
        let kind = match &error {
            E::NotFound(_) => Kind::NotFound,
            E::Exists(_) => Kind::Conflict,
            E::TooLarge { .. } => Kind::TooLarge,
            E::WrongHash { .. } | E::Invalid(_) => Kind::Invalid,
            E::WrongIdentity { .. } => Kind::Refused,
            E::Locked { .. } | E::Unconfirmed => Kind::Unavailable,
            _ => Kind::Internal,
        };
        let full = matches!(&error, E::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
        let fault = Self::new(kind, error);
        if !full {
            return fault;
        }
        fault.hint(
            "make room on the disk of the state, which `qyvol daemon status` names; `qyvol image prune` removes bundles that \
             nothing needs",
        )
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Unknown(_) => Kind::NotFound,
            Refused::Removing(_) => Kind::Conflict,
            Refused::Twice(_) => Kind::Invalid,
            _ => Kind::Refused,
        };
        Self::new(kind, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_status_that_their_word_promises() {
        for (kind, word, status) in [
            (Kind::Invalid, "invalid", 400),
            (Kind::NotFound, "not-found", 404),
            (Kind::Conflict, "conflict", 409),
            (Kind::TooLarge, "too-large", 413),
            (Kind::Refused, "refused", 422),
            (Kind::Unauthorized, "unauthorized", 401),
            (Kind::Busy, "busy", 503),
            (Kind::Internal, "internal", 500),
        ] {
            assert_eq!((kind.word(), kind.status().as_u16()), (word, status));
        }
        let fault = Fault::from(Refused::Unknown("a".parse().unwrap()));
        assert_eq!(fault.kind, Kind::NotFound);
    }
}
