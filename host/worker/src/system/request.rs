//! Requests and answers, as lines.

use std::collections::BTreeMap;

use qyv_spec::service::Name;
use qyvol_protocol::system::{Change, Refused, RefusedKind, VERSION};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The longest line of a request, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// The most bytes that may follow a request.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    /// What its answer is told apart by.
    pub(super) id: u64,
    /// How many bytes follow its line.
    pub(super) bytes: usize,
    pub(super) verb: Verb,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Verb {
    Run(Run),
    Write(Write),
    Read(Which),
    Wait(Which),
    Kill(Which),
    Apps(After),
    Inspect(Of),
    Change(Of, Change),
    Logs(Logs),
}

/// `run`: starts a child.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// An installed app; its own bundle when it is left out.
    pub(super) app: Option<Name>,
    /// Another program of its own bundle.
    pub(super) program: Option<String>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Whether it reads what is written to it; its input is empty otherwise.
    #[serde(default)]
    pub(super) stdin: bool,
}

/// `write`: gives bytes to a child's standard input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    pub(super) child: u64,
    /// Whether the input ends with these bytes.
    #[serde(default)]
    pub(super) end: bool,
}

/// `read`, `wait`, `kill`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    pub(super) child: u64,
}

/// `ps`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    pub(super) after: Option<Name>,
}

/// `inspect`, `stop`, `start`, `restart`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    pub(super) app: Name,
}

/// `logs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    pub(super) app: Name,
    /// How many lines at most.
    #[serde(default = "tail")]
    pub(super) tail: usize,
}

/// Lines of a log when nobody says how many.
fn tail() -> usize {
    100
}

impl Request {
    /// Reads a line. What is wrong with it comes with the number that it has, as far as that can be read.
    pub(super) fn parse(line: &[u8]) -> Result<Self, (u64, Refused)> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| (0, malformed(format!("this is no object in JSON: {error}"))))?;
        let id = fields.remove("id").map_or(Some(0), |id| id.as_u64());
        let id = id.ok_or_else(|| (0, malformed("`id` is a number, 0 or more".to_owned())))?;
        let parse = |mut fields: Map<String, Value>| {
            let version = fields.remove("v").and_then(|version| version.as_u64());
            if version != Some(VERSION.into()) {
                return Err(format!("`v` is the version of the conversation, {VERSION}"));
            }
            let bytes = fields.remove("bytes").map_or(Some(0), |bytes| bytes.as_u64());
            let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
            let bytes = bytes.filter(|bytes| *bytes <= BODY_BYTES_MAX);
            let bytes = bytes.ok_or_else(|| format!("`bytes` is a number, at most {BODY_BYTES_MAX}"))?;
            let word = fields.remove("do");
            let word = word.as_ref().and_then(Value::as_str).unwrap_or_default();
            let verb = Verb::read(word, fields)?;
            if bytes > 0 && !matches!(verb, Verb::Write(_)) {
                return Err(format!("no bytes follow `{word}`"));
            }
            Ok(Self { id, bytes, verb })
        };
        parse(fields).map_err(|message| (id, malformed(message)))
    }
}

impl Verb {
    fn read(word: &str, fields: Map<String, Value>) -> Result<Self, String> {
        fn of<T: DeserializeOwned>(word: &str, fields: Map<String, Value>) -> Result<T, String> {
            serde_json::from_value(Value::Object(fields)).map_err(|error| format!("`{word}`: {error}"))
        }
        Ok(match word {
            "run" => Self::Run(of(word, fields)?),
            "write" => Self::Write(of(word, fields)?),
            "read" => Self::Read(of(word, fields)?),
            "wait" => Self::Wait(of(word, fields)?),
            "kill" => Self::Kill(of(word, fields)?),
            "ps" => Self::Apps(of(word, fields)?),
            "inspect" => Self::Inspect(of(word, fields)?),
            "stop" => Self::Change(of(word, fields)?, Change::Stop),
            "start" => Self::Change(of(word, fields)?, Change::Start),
            "restart" => Self::Change(of(word, fields)?, Change::Restart),
            "logs" => Self::Logs(of(word, fields)?),
            _ => {
                let words = "`run`, `write`, `read`, `wait`, `kill`, `ps`, `inspect`, `stop`, `start`, `restart`, `logs`";
                return Err(format!("`do` is one of {words}"));
            }
        })
    }
}

/// What is done or not, without the version and the number.
pub(super) type Done = Result<Outcome, Refused>;

/// What is answered when it is done.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ok: Value,
    /// The bytes that follow.
    pub(super) bytes: Vec<u8>,
}

impl Outcome {
    /// One without bytes.
    pub(super) fn of(ok: &impl Serialize) -> Self {
        Self { ok: serde_json::to_value(ok).unwrap_or_default(), bytes: Vec::new() }
    }
}

/// An answer as it goes over the wire.
pub(super) fn answer(id: u64, done: Done) -> Vec<u8> {
    let (value, bytes) = match done {
        Ok(Outcome { ok, bytes }) if bytes.is_empty() => (json!({ "v": VERSION, "id": id, "ok": ok }), bytes),
        Ok(Outcome { ok, bytes }) => {
            (json!({ "v": VERSION, "id": id, "ok": ok, "bytes": bytes.len() }), bytes)
        }
        Err(refused) => (json!({ "v": VERSION, "id": id, "error": refused }), Vec::new()),
    };
    let mut text = value.to_string().into_bytes();
    text.push(b'\n');
    text.extend(bytes);
    text
}

pub(super) fn malformed(message: String) -> Refused {
    Refused { kind: RefusedKind::Malformed, message, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_to_the_letter() {
        let good = |text: &str| Request::parse(text.as_bytes()).unwrap();
        let run =
            good(r#"{"v":1,"id":7,"do":"run","app":"resize","args":["a"],"env":{"K":"v"},"stdin":true}"#);
        assert!(run.id == 7 && matches!(&run.verb, Verb::Run(run) if run.stdin && run.args == ["a"]));
        let write = good(r#"{"v":1,"do":"write","child":1,"bytes":65536,"end":true}"#);
        assert!(write.id == 0 && write.bytes == BODY_BYTES_MAX);
        assert!(matches!(good(r#"{"do":"logs","v":1,"app":"a"}"#).verb, Verb::Logs(Logs { tail: 100, .. })));
        assert!(matches!(good(r#"{"do":"restart","v":1,"app":"a"}"#).verb, Verb::Change(_, Change::Restart)));
        let deep = "[".repeat(LINE_BYTES_MAX);
        for (bad, id) in [
            ("", 0),
            ("{", 0),
            ("[]", 0),
            ("\u{0}", 0),
            (deep.as_str(), 0),
            (r#"{"id":-1,"v":1,"do":"ps"}"#, 0),
            (r#"{"id":3,"do":"ps"}"#, 3),
            (r#"{"id":3,"v":2,"do":"ps"}"#, 3),
            (r#"{"id":3,"v":1}"#, 3),
            (r#"{"id":3,"v":1,"do":"exec"}"#, 3),
            (r#"{"id":3,"v":1,"do":"ps","all":true}"#, 3),
            (r#"{"id":3,"v":1,"do":"ps","bytes":1}"#, 3),
            (r#"{"id":3,"v":1,"do":"write","child":1,"bytes":65537}"#, 3),
            (r#"{"id":3,"v":1,"do":"write","child":1,"bytes":-1}"#, 3),
            (r#"{"id":3,"v":1,"do":"stop","app":"../a"}"#, 3),
        ] {
            let (number, refused) = Request::parse(bad.as_bytes()).unwrap_err();
            assert_eq!((number, refused.kind), (id, RefusedKind::Malformed), "{bad:.60}");
        }
    }

    #[test]
    fn answers_are_lines_with_the_bytes_that_they_announce() {
        let outcome = Outcome { ok: json!({ "stream": "stdout" }), bytes: b"a\nb".to_vec() };
        let text = String::from_utf8(answer(4, Ok(outcome))).unwrap();
        assert_eq!(text, "{\"bytes\":3,\"id\":4,\"ok\":{\"stream\":\"stdout\"},\"v\":1}\na\nb");
        let text = String::from_utf8(answer(0, Err(malformed("no\nway".into())))).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(r#""kind":"malformed""#), "{text}");
    }
}
