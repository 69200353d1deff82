//! Words for the end of an instance.

use qyv_wasi::{Denial, Right};
use qyvol_engine::shared::SharedEnd;
use qyvol_engine::{Ending, Limit};
use qyvol_protocol::system::SERVICE;

/// Why an instance is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Why {
    Killed = 1,
    Stopped = 2,
    Timeout = 3,
    CpuTime = 4,
}

/// How a program has ended, for people.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// One word, as in [`Exited`](qyvol_protocol::worker::Exited).
    pub(crate) cause: String,
    /// The exit code, as `qyvol run` would give it.
    pub(crate) code: u8,
    /// What happened.
    pub(crate) message: String,
    /// What it was refused for want of a grant, a line each.
    pub(crate) denials: Vec<String>,
}

impl End {
    /// Of a program that has ended by itself, or was ended for the reason [`Why`].
    pub(super) fn of(ended: Option<&qyvol_engine::Result<SharedEnd>>, why: u8, denials: &[Denial]) -> Self {
        let (cause, code, message) = describe(ended, why);
        let denials = denials.iter().map(denial).collect();
        Self { cause: cause.to_owned(), code, message, denials }
    }

    /// Of one of which nothing else is known.
    pub(crate) fn killed() -> Self {
        Self::of(None, Why::Killed as u8, &[])
    }
}

/// The word, the exit code and the message of an end.
fn describe(ended: Option<&qyvol_engine::Result<SharedEnd>>, why: u8) -> (&'static str, u8, String) {
    let of = |ending: Ending| (ending.cause(), ending.exit_code(), ending.to_string());
    match ended {
        Some(Ok(end)) => {
            let (cause, code, mut message) = of(end.ending);
            if let Some(trap) = &end.trap {
                message = format!("{message}: {}", trap.reason);
                for frame in &trap.frames {
                    message = format!("{message}\n  at {}", frame.function);
                    if let Some(location) = &frame.location {
                        message = format!("{message} ({location})");
                    }
                }
            }
            (cause, code, message)
        }
        Some(Err(error)) => ("error", 126, error.to_string()),
        None if why == Why::Timeout as u8 => of(Ending::TimedOut),
        None if why == Why::CpuTime as u8 => of(Ending::Limit(Limit::CpuTime)),
        None if why == Why::Stopped as u8 => ("stopped", 143, "it was stopped".into()),
        None => ("killed", 137, "it was killed".into()),
    }
}

/// A denial in a line.
fn denial(denial: &Denial) -> String {
    let Denial { call, what, right, times, .. } = denial;
    let asked = match right {
        Right::Files => "permissions.fs".to_owned(),
        Right::Write(mount) => format!("writing to the mount at `{mount}`"),
        Right::Dial(name) if *name == SERVICE => {
            "permissions: { exec: true }, { exec: { run: [app] } } or { admin: [stop, logs] }".to_owned()
        }
        Right::Dial(name) => format!("permissions.net: {{ connect: [service://{name}] }}"),
        Right::Connect(address) if address.starts_with("udp://") => "nothing grants UDP".to_owned(),
        Right::Connect(address) if address.contains("://") => {
            format!("permissions.net: {{ connect: [\"{address}\"] }}")
        }
        Right::Connect(name) => format!("permissions.net: {{ connect: [\"tcp://{name}:443\"] }}"),
        Right::Listen => "permissions.net: { listen: […] }".to_owned(),
        _ => "a right that was not granted".to_owned(),
    };
    format!("{call} on {what} was refused ({times}x): {asked}")
}
