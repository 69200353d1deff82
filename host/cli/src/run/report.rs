//! How a run ended, for people and for programs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use qyv_spec::service::Listen;
use qyv_wasi::{Denial, Right};
use qyvol_engine::{Ending, Finished, Reason, Trap};
use qyvol_fs::landlock::Wall;
use serde_json::{Value, json};

use crate::commands::run::Run;
use crate::failure::Failure;
use crate::output;

/// Version of the status file's format; see `docs/formats/status.md`.
const STATUS_VERSION: u32 = 1;
/// The most frames of a backtrace that are printed; all are in the status file.
const FRAMES_SHOWN: usize = 32;

/// Where to report, and since when there is something to report.
pub(crate) struct Report {
    place: Place,
    start: Instant,
    wall: Mutex<Option<Wall>>,
    coredump: Option<PathBuf>,
}

/// Where reports go.
#[derive(Clone)]
struct Place {
    status_file: Option<PathBuf>,
    json: bool,
}

impl Report {
    pub(crate) fn new(options: &Run) -> Self {
        let place = Place { status_file: options.status_file.clone(), json: options.json };
        Self { place, start: Instant::now(), wall: Mutex::new(None), coredump: options.coredump.clone() }
    }

    /// Remembers whether the second wall stands.
    pub(crate) fn set_wall(&self, wall: &Wall) {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner) = Some(wall.clone());
    }

    /// What the watchdog says when it ends the process.
    pub(crate) fn last_words(&self) -> impl FnOnce(Reason) + Send + 'static {
        let (place, start) = (self.place.clone(), self.start);
        move |reason| {
            let ending = reason.ending();
            place.write(&status(&ending, start, None, None));
            output::warning(&format!("{ending}, and did not stop by itself"));
        }
    }

    /// Reports a run that came to its end.
    pub(crate) fn finished(&self, finished: &Finished) -> ExitCode {
        self.write_coredump(finished);
        let wall = self.wall.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.place.write(&status(&finished.ending, self.start, Some(finished), wall.as_ref()));
        if !self.place.json {
            print(finished);
        }
        ExitCode::from(finished.ending.exit_code())
    }

    fn write_coredump(&self, finished: &Finished) {
        if let (Some(path), Some(dump)) = (&self.coredump, &finished.coredump)
            && let Err(failure) = crate::target::write_atomically(path, dump)
        {
            output::warning(&format!("the core dump was not written: {}", failure.message));
        }
    }

    /// Reports a run that did not begin.
    pub(crate) fn failed(&self, failure: &Failure) -> ExitCode {
        let code = failure.code as u8;
        self.place.write(&json!({
            "status": STATUS_VERSION,
            "cause": failure.cause,
            "exit_code": code,
            "message": failure.message.trim_end(),
            "hints": failure.hints,
        }));
        if !self.place.json {
            output::failure(failure);
        }
        ExitCode::from(code)
    }
}

impl Place {
    fn write(&self, status: &Value) {
        if let Some(path) = &self.status_file
            && let Err(failure) = crate::target::write_atomically(path, format!("{status}\n").as_bytes())
        {
            output::failure(&failure);
        }
        if self.json {
            output::line_of_json(status);
        }
    }
}

fn status(ending: &Ending, start: Instant, finished: Option<&Finished>, wall: Option<&Wall>) -> Value {
    let mut status = json!({
        "status": STATUS_VERSION,
        "cause": ending.cause(),
        "exit_code": ending.exit_code(),
        "elapsed_ms": u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    if let Ending::Exited(code) = ending {
        status["app_exit_code"] = json!(code);
    }
    if let Some(finished) = finished {
        status["memory_peak_bytes"] = json!(finished.memory_peak);
        status["denials"] = finished.denials.iter().map(denial_json).collect();
        status["trap"] = finished.trap.as_ref().map_or(Value::Null, trap_json);
    }
    if let Some(wall) = wall {
        status["landlock"] = match wall {
            Wall::Landlock { abi, complete } => json!({ "abi": abi, "complete": complete }),
            Wall::Absent(reason) => json!({ "absent": reason }),
        };
    }
    status
}

fn denial_json(denial: &Denial) -> Value {
    json!({ "call": denial.call, "what": denial.what, "times": denial.times, "ask_with": manifest_line(denial) })
}

fn trap_json(trap: &Trap) -> Value {
    let frames: Vec<Value> = trap
        .frames
        .iter()
        .map(
            |frame| json!({ "function": frame.function, "location": frame.location, "offset": frame.offset }),
        )
        .collect();
    json!({ "reason": trap.reason, "frames": frames })
}

fn print(finished: &Finished) {
    if let Some(trap) = &finished.trap {
        print_trap(&finished.ending, trap);
    } else if !matches!(finished.ending, Ending::Exited(_)) {
        output::warning(&finished.ending.to_string());
    }
    if finished.ending.is_clipped() {
        output::warning(&format!("{}; a shell sees at most 255, so this is 1", finished.ending));
    }
    for denial in &finished.denials {
        print_denial(denial);
    }
}

fn print_trap(ending: &Ending, trap: &Trap) {
    output::warning(&format!("{ending}: {}", shown(&trap.reason)));
    for (number, frame) in trap.frames.iter().take(FRAMES_SHOWN).enumerate() {
        let location = frame.location.as_ref().map(|location| format!(" at {location}")).unwrap_or_default();
        output::note(&format!("  {number:>2}: {}{}", shown(&frame.function), shown(&location)));
    }
    if trap.frames.len() > FRAMES_SHOWN {
        output::note(&format!("  … {} more", trap.frames.len() - FRAMES_SHOWN));
    }
}

fn print_denial(denial: &Denial) {
    let times = if denial.times > 1 { format!(" ({} times)", denial.times) } else { String::new() };
    output::warning(&format!("denied: `{}` on `{}`{times}", denial.call, shown(&denial.what)));
    output::hint(&mend(denial));
}

/// Text that the app chose, so that it cannot be taken for ours: no line ends, no terminal sequences, no quotes.
fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c == '\'' || c == '"' { vec![c] } else { c.escape_debug().collect() })
        .collect()
}

/// Text that the app chose, as one value of YAML and JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The line of the manifest that asks for what was denied; none asks for UDP.
fn manifest_line(denial: &Denial) -> Option<String> {
    Some(match &denial.right {
        Right::Connect(_) | Right::Listen if denial.what.starts_with("udp://") => return None,
        Right::Files => "permissions: { fs: read-only }".to_owned(),
        Right::Write(mount) if mount == "/" => "permissions: { fs: read-write }".to_owned(),
        Right::Write(mount) => format!("fs: [{{ mount: {}, mode: read-write }}]", quoted(mount)),
        Right::Dial(name) if name == "qyvold" => "permissions: { exec: true }".to_owned(),
        Right::Dial(name) => connect(&format!("service://{name}")),
        Right::Connect(url) if url.contains("://") => connect(url),
        Right::Connect(name) => connect(&format!("tcp://{name}:443")),
        Right::Listen => {
            // A manifest names the port; what wanted any, or names none, gets an example.
            let known = denial.what.parse::<Listen>().map(|listen| listen.to_string());
            let address = known.unwrap_or_else(|_| "tcp://127.0.0.1:8080".into());
            format!("permissions: {{ net: {{ listen: [{}] }} }}", quoted(&address))
        }
        _ => "permissions".to_owned(),
    })
}

fn connect(address: &str) -> String {
    format!("permissions: {{ net: {{ connect: [{}] }} }}", quoted(address))
}

fn mend(denial: &Denial) -> String {
    let Some(line) = manifest_line(denial) else {
        return "no line of a manifest asks for UDP; use TCP, or a service".into();
    };
    match &denial.right {
        Right::Files => {
            let folder = Path::new(&denial.what).parent().and_then(Path::to_str).unwrap_or("/");
            // The line is there to be copied into a shell.
            let plain = folder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
            let folder = if plain { folder } else { "GUEST" };
            format!("ask for it in the manifest: `{line}`; or show a folder with `--dir HOST::{folder}`")
        }
        Right::Write(mount) if mount == "/" => {
            format!("the app's own files never change; `{line}` adds a volume for its data at `/data`")
        }
        Right::Write(_) => format!("ask for it in the manifest: `{line}`, or give the folder without `:ro`"),
        _ => format!("ask for it in the manifest: `{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_the_network_is_one_that_a_manifest_may_have() {
        let denied = |what: &str, right| {
            let mut denials = qyv_wasi::Denials::new([]);
            denials.record("start-bind", what.into(), right);
            denials.list()[0].clone()
        };
        for (what, asked) in [
            ("tcp://127.0.0.1:0", "tcp://127.0.0.1:8080"),
            ("tcp://[::1]:81", "tcp://[::1]:81"),
            ("descriptor 4", "tcp://127.0.0.1:8080"),
        ] {
            let line = manifest_line(&denied(what, Right::Listen)).unwrap();
            let manifest = format!("name: a\nentrypoint: a.wasm\n{line}\n");
            assert!(qyv_spec::Manifest::from_yaml(&manifest, "a.qyv").is_ok(), "{line}");
            assert!(line.contains(asked), "{line}");
        }
        let url = "udp://127.0.0.1:53";
        for right in [Right::Listen, Right::Connect(url.into())] {
            let denial = denied(url, right);
            assert_eq!(manifest_line(&denial), None);
            assert_eq!(denial_json(&denial)["ask_with"], Value::Null);
            assert!(mend(&denial).contains("UDP"));
        }
    }

    #[test]
    fn what_an_app_calls_its_files_cannot_be_taken_for_our_words() {
        assert_eq!(shown("a`\r\n\u{1b}[2Kerror: b\u{202e}'\""), "a`\\r\\n\\u{1b}[2Kerror: b\\u{202e}'\"");
        assert_eq!(
            connect("service://a\"] }, admin: [x"),
            "permissions: { net: { connect: [\"service://a\\\"] }, admin: [x\"] } }"
        );
    }
}
