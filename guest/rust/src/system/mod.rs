//! The other apps of the machine: seeing them, stopping and starting them, reading what they print.
//!
//! The manifest asks for it, and the operator grants it (`--grant admin`):
//!
//! ```yaml
//! permissions: { admin: [stop, logs] }
//! ```
//!
//! ```no_run
//! # async fn example() -> Result<(), qyv::system::Failure> {
//! let system = qyv::system::connect().await?;
//! for app in system.apps().await? {
//!     println!("{} {}", app.name, app.status);
//!     if app.state == "crash-looping" {
//!         system.stop(&app.name).await?;
//!     }
//! }
//! for line in system.logs("logger", 10).await? {
//!     println!("{}", line.text);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Without `async` every `.await` is a [`.wait()`](crate::Wait::wait). Starting programs is [`exec`](crate::exec).

mod failure;

mod talk;

pub(crate) use failure::Result;
pub use failure::{Failure, Refusal, RefusalKind};
use serde_json::{Value, json};
pub(crate) use talk::{Talk, not_understood};

/// Begins to speak with the system.
///
/// # Errors
///
/// That of the dial.
pub async fn connect() -> std::result::Result<System, Failure> {
    Ok(System { talk: Talk::dial().await? })
}

/// A conversation with the system: one request at a time.
#[derive(Debug)]
pub struct System {
    talk: Talk,
}

/// An app of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One word: `ready`, `starting`, `crash-looping`, `done`, `stopped` …
    pub state: String,
    /// The same for people.
    pub status: String,
    /// How many instances it is to have.
    pub replicas: u64,
    /// How many of them are ready.
    pub ready: u64,
    /// How often its instances were restarted.
    pub restarts: u64,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// When it was printed, in milliseconds since 1970.
    pub time: u64,
    /// Which replica printed it.
    pub slot: u64,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line.
    pub text: String,
}

impl System {
    /// All apps, sorted by name.
    ///
    /// # Errors
    ///
    /// [`Failure`]; denied without any of `permissions.admin`.
    pub async fn apps(&self) -> std::result::Result<Vec<App>, Failure> {
        let mut apps = Vec::new();
        loop {
            let after = apps.last().map(|app: &App| app.name.clone());
            let (answer, _) = self.talk.ask("ps", json!({ "after": after }), &[]).await?;
            let some = answer["apps"].as_array().ok_or_else(not_understood)?;
            apps.extend(some.iter().map(App::of));
            if some.is_empty() || answer["more"] != json!(true) {
                return Ok(apps);
            }
        }
    }

    /// One app.
    ///
    /// # Errors
    ///
    /// As for [`apps`](Self::apps), and when there is none of that name.
    pub async fn app(&self, name: &str) -> std::result::Result<App, Failure> {
        let (answer, _) = self.talk.ask("inspect", json!({ "app": name }), &[]).await?;
        Ok(App::of(&answer))
    }

    /// Stops an app until somebody starts it. It may take its time to end.
    ///
    /// # Errors
    ///
    /// [`Failure`]; denied without `permissions.admin: [stop]`, as are the next two.
    pub async fn stop(&self, name: &str) -> std::result::Result<(), Failure> {
        self.change("stop", name).await
    }

    /// Starts what was stopped.
    ///
    /// # Errors
    ///
    /// As for [`stop`](Self::stop).
    pub async fn start(&self, name: &str) -> std::result::Result<(), Failure> {
        self.change("start", name).await
    }

    /// Stops and starts an app.
    ///
    /// # Errors
    ///
    /// As for [`stop`](Self::stop).
    pub async fn restart(&self, name: &str) -> std::result::Result<(), Failure> {
        self.change("restart", name).await
    }

    /// The last lines that an app has printed, at most 1000, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Failure`]; denied without `permissions.admin: [logs]`.
    pub async fn logs(&self, name: &str, lines: usize) -> std::result::Result<Vec<LogLine>, Failure> {
        let (answer, _) = self.talk.ask("logs", json!({ "app": name, "tail": lines }), &[]).await?;
        let lines = answer["lines"].as_array().ok_or_else(not_understood)?;
        Ok(lines.iter().map(LogLine::of).collect())
    }

    async fn change(&self, word: &str, name: &str) -> std::result::Result<(), Failure> {
        self.talk.ask(word, json!({ "app": name }), &[]).await.map(drop)
    }
}

impl App {
    fn of(value: &Value) -> Self {
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        Self {
            name: text(value, "app"),
            version: text(value, "version"),
            state: text(value, "state"),
            status: text(value, "status"),
            replicas: number("replicas"),
            ready: number("ready"),
            restarts: number("restarts"),
        }
    }
}

impl LogLine {
    fn of(value: &Value) -> Self {
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        Self {
            time: number("time"),
            slot: number("slot"),
            stream: text(value, "stream"),
            text: text(value, "text"),
        }
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
