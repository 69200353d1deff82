//! The daemon's failures as the command's.

use hyper::StatusCode;
use qyvol_protocol::api::Problem;

use crate::failure::Failure;

/// What the daemon's refusal means here. An answer that is no [`Problem`], such as a proxy's, is the daemon's own failure.
pub(super) fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return unknown(status, body);
    };
    let failure = match problem.error.as_str() {
        "not-found" => Failure::not_found(problem.message),
        "refused" | "invalid" | "conflict" | "too-large" | "unauthorized" => {
            Failure::refused(problem.message)
        }
        _ => Failure::own(problem.message),
    };
    problem.hint.into_iter().fold(failure, Failure::hint)
}

/// How much of an answer that nobody understands is shown, in characters.
const SHOWN_CHARACTERS: usize = 200;

fn unknown(status: StatusCode, body: &[u8]) -> Failure {
    let said: String = String::from_utf8_lossy(body).chars().take(SHOWN_CHARACTERS).collect();
    let said = said.trim();
    let colon = if said.is_empty() { "" } else { ": " };
    let message = format!("the daemon answered {status}{colon}{said}");
    match status {
        StatusCode::NOT_FOUND => Failure::not_found(message),
        _ => Failure::own(message),
    }
    .hint("they may be of different versions: compare `qyvol --version` and `qyvol daemon status`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn a_problem_keeps_its_words_and_gets_its_exit_code() {
        for (error, code) in [
            ("not-found", Code::NotFound),
            ("refused", Code::Refused),
            ("invalid", Code::Refused),
            ("conflict", Code::Refused),
            ("too-large", Code::Refused),
            ("unauthorized", Code::Refused),
            ("busy", Code::Own),
            ("unavailable", Code::Own),
            ("internal", Code::Own),
            ("of-tomorrow", Code::Own),
        ] {
            let (message, hint, missing) = ("why".to_owned(), Some("mend".to_owned()), Vec::new());
            let problem = Problem { error: error.to_owned(), message, hint, missing };
            let failure = failure(StatusCode::IM_A_TEAPOT, &serde_json::to_vec(&problem).unwrap());
            assert_eq!((failure.code, failure.message.as_str()), (code, "why"), "{error}");
            assert_eq!(failure.hints, ["mend"]);
        }
    }

    #[test]
    fn what_is_no_problem_is_shown_with_its_status_and_not_at_length() {
        let nothing = failure(StatusCode::NOT_FOUND, b"");
        assert_eq!(
            (nothing.code, nothing.message.as_str()),
            (Code::NotFound, "the daemon answered 404 Not Found")
        );
        let long = failure(StatusCode::BAD_GATEWAY, "ñ".repeat(10_000).as_bytes());
        assert_eq!(long.code, Code::Own);
        assert!(long.message.chars().count() < 300);
        let odd =
            failure(StatusCode::CONFLICT, br#"{"error":"conflict","message":"m","hint":null,"more":1}"#);
        assert!(odd.message.contains("409") && odd.message.contains("\"more\":1"), "{}", odd.message);
    }
}
