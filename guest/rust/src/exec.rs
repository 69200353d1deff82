//! Starting programs: others of the app's own bundle, and installed apps.
//!
//! The manifest asks for it, and the operator grants it (`--grant exec`):
//!
//! ```yaml
//! permissions: { exec: { run: [resize] } }   # or `exec: true`, for programs of its own bundle
//! ```
//!
//! ```no_run
//! # async fn example(picture: Vec<u8>) -> Result<(), qyv::system::Failure> {
//! use qyv::exec::Command;
//!
//! let resized = Command::app("resize").args(["--width", "80"]).input(picture).output().await?;
//! if resized.exit.success() {
//!     println!("{} bytes", resized.stdout.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A child runs beside the app that has started it: within its memory, its processor time and its descriptors. An installed
//! app runs with what both were granted, never with more. When who has started it ends, so does a child.

use serde_json::{Map, Value, json};

use crate::system::{Failure, Result, Talk, not_understood};

/// The most bytes that are written at once.
const PIECE_BYTES: usize = 32 << 10;

/// What is to be started.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is started until `output` or `spawn` is called"]
pub struct Command {
    app: Option<String>,
    program: Option<String>,
    args: Vec<String>,
    env: Map<String, Value>,
    input: Vec<u8>,
}

/// How a child has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// The exit code, as `qyvol run` would give it.
    pub code: u8,
    /// One word: `exit`, `trap`, `memory`, `cpu_time`, `timeout`, `killed`.
    pub cause: String,
    /// What happened, for people.
    pub message: String,
    /// What it was refused for want of a grant, a line each.
    pub denials: Vec<String>,
}

/// How a child has ended, and all that it has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it has ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Something that a child has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// On its standard output.
    Stdout(Vec<u8>),
    /// On its standard error.
    Stderr(Vec<u8>),
}

/// A child. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    talk: Talk,
    number: u64,
}

impl Command {
    /// An installed app.
    pub fn app(name: impl Into<String>) -> Self {
        Self { app: Some(name.into()), ..Self::default() }
    }

    /// The program that the app itself runs.
    pub fn own() -> Self {
        Self::default()
    }

    /// Another program of the app's bundle, as in `/bin/other.wasm`.
    pub fn program(path: impl Into<String>) -> Self {
        Self { program: Some(path.into()), ..Self::default() }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), Value::String(value.into()));
        self
    }

    /// What the child reads from its standard input, for [`output`](Self::output).
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Starts a child whose streams are read and written as it runs.
    ///
    /// # Errors
    ///
    /// [`Failure`]; denied when the app, or the own bundle, was not granted.
    pub async fn spawn(&self) -> std::result::Result<Child, Failure> {
        self.begin(true).await
    }

    /// Runs a child to its end.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn). How the child ends is in [`Output`].
    pub async fn output(&self) -> std::result::Result<Output, Failure> {
        let child = self.begin(!self.input.is_empty()).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut pieces = self.input.chunks(PIECE_BYTES).peekable();
        let mut written = None;
        let mut asked = child.ask_to_read().await?;
        loop {
            // Both at once: one that prints while it reads waits for neither.
            if written.is_none()
                && let Some(piece) = pieces.next()
            {
                let fields = json!({ "child": child.number, "end": pieces.peek().is_none() });
                written = Some(child.talk.send("write", fields, piece).await?);
            }
            let (number, answer) = child.talk.next().await?;
            if number != asked {
                // One that does not read to the end is no failure; the rest is not written then.
                written = answer.is_err().then_some(number);
                continue;
            }
            match Printed::of(answer?)? {
                Ok(Printed::Stdout(bytes)) => stdout.extend(bytes),
                Ok(Printed::Stderr(bytes)) => stderr.extend(bytes),
                Err(exit) => return Ok(Output { exit, stdout, stderr }),
            }
            asked = child.ask_to_read().await?;
        }
    }

    async fn begin(&self, stdin: bool) -> Result<Child> {
        let mut fields = Map::new();
        for (name, value) in [("app", &self.app), ("program", &self.program)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.clone().into());
            }
        }
        fields.insert("args".to_owned(), self.args.clone().into());
        fields.insert("env".to_owned(), self.env.clone().into());
        fields.insert("stdin".to_owned(), stdin.into());
        let talk = Talk::dial().await?;
        let (answer, _) = talk.ask("run", fields.into(), &[]).await?;
        let number = answer["child"].as_u64().ok_or_else(not_understood)?;
        Ok(Child { talk, number })
    }
}

impl Child {
    /// Writes to its standard input, and waits until there is room. As with any two programs, one that prints and is not read
    /// may not read either: read what it prints.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refused as a conflict when it reads no more.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> std::result::Result<(), Failure> {
        for piece in bytes.as_ref().chunks(PIECE_BYTES) {
            self.talk.ask("write", json!({ "child": self.number }), piece).await?;
        }
        Ok(())
    }

    /// Ends its standard input.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub async fn finish(&mut self) -> std::result::Result<(), Failure> {
        let fields = json!({ "child": self.number, "end": true });
        self.talk.ask("write", fields, &[]).await.map(drop)
    }

    /// What it prints next; how it has ended when there is no more, after which there is nothing to ask of it.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn read(&mut self) -> std::result::Result<std::result::Result<Printed, Exit>, Failure> {
        Printed::of(self.talk.ask_of("read", self.number).await?)
    }

    /// Waits until it has ended. What it has printed can still be read then.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn wait(&mut self) -> std::result::Result<Exit, Failure> {
        let (answer, _) = self.talk.ask_of("wait", self.number).await?;
        Ok(Exit::of(&answer["exit"]))
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn kill(&mut self) -> std::result::Result<(), Failure> {
        self.talk.ask_of("kill", self.number).await.map(drop)
    }

    async fn ask_to_read(&self) -> Result<u64> {
        self.talk.send("read", json!({ "child": self.number }), &[]).await
    }
}

impl Printed {
    fn of((answer, bytes): (Value, Vec<u8>)) -> Result<std::result::Result<Self, Exit>> {
        match answer["stream"].as_str() {
            Some("stdout") => Ok(Ok(Self::Stdout(bytes))),
            Some("stderr") => Ok(Ok(Self::Stderr(bytes))),
            None if answer["exit"].is_object() => Ok(Err(Exit::of(&answer["exit"]))),
            _ => Err(not_understood()),
        }
    }
}

impl Exit {
    /// Whether it has ended with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == 0
    }

    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            code: value["code"].as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX),
            cause: text(&value["cause"]),
            message: text(&value["message"]),
            denials: value["denials"].as_array().into_iter().flatten().map(text).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Command;
    use crate::system::Failure;
    use crate::{ErrorKind, Wait};

    #[test]
    fn where_there_is_no_system_it_says_so() {
        let failure = Command::app("resize").arg("x").input("y").output().wait().unwrap_err();
        assert!(matches!(failure, Failure::Connection(error) if error.kind() == ErrorKind::NoServices));
    }
}
