//! A daemon with the services that the contract names, and apps that are deployed to it.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::check::Check;
use crate::outcome::Outcome;
use crate::qyvol::Qyvol;
use crate::stage::{self, App};

/// The services that are there from the start, with their protocols.
const SERVICES: [(&str, &str); 3] =
    [("polyglot-echo", "lines"), ("polyglot-frames", "frames"), ("polyglot-secret", "lines")];

/// A daemon of this process's own. Dropping it ends it and its apps.
pub struct Daemon<'a> {
    qyvol: &'a Qyvol,
    folder: TempDir,
    /// One app at a time offers `polyglot-served`.
    serving: Mutex<()>,
}

impl<'a> Daemon<'a> {
    /// Starts it, with the services.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub fn start(qyvol: &'a Qyvol) -> Result<Self> {
        let guests = stage::build_guests()?;
        let daemon = Self { qyvol, folder: tempfile::tempdir()?, serving: Mutex::new(()) };
        let apps = daemon.folder.path().join("apps");
        fs::create_dir(&apps)?;
        for guest in ["svc_echo_server", "svc_ask"] {
            let name = format!("{guest}.wasm");
            fs::copy(guests.join(&name), apps.join(&name))
                .with_context(|| format!("there is no `{name}`"))?;
        }
        for (service, protocol) in SERVICES {
            let manifest = format!(
                "name: {service}\ntype: service\nentrypoint: svc_echo_server.wasm\nargs: [{service}, {protocol}, \"0\"]\n\
                 services: [{{name: {service}, proto: {protocol}}}]\n"
            );
            fs::write(apps.join(service).with_extension("qyv"), manifest)?;
        }
        daemon.must(&["deploy", &apps.display().to_string()])?;
        Ok(daemon)
    }

    /// Deploys an app for one check, and says what became of it.
    ///
    /// # Errors
    ///
    /// When the daemon does not do what it is asked.
    pub(crate) fn run(&self, app: &App, case: &Case) -> Result<Outcome> {
        let name = app.name(Some(case.check));
        let one_at_a_time =
            (case.check == Check::Serve).then(|| self.serving.lock().unwrap_or_else(PoisonError::into_inner));
        let begin = Instant::now();
        self.deploy(&app.manifest_file(Some(case.check)), &case.arguments())?;
        let answers = (case.check == Check::Serve).then(|| self.ask(&name, &case.lines)).transpose();
        if answers.is_err() {
            // It may wait for ever for what did not come.
            self.must(&["kill", &name])?;
        }
        let mut outcome = self.outcome(&name)?;
        outcome.elapsed = begin.elapsed();
        match answers {
            Ok(answers) => outcome.answers = answers,
            Err(error) => outcome.stderr.extend(format!("{error:#}\n").into_bytes()),
        }
        self.must(&["rm", &name])?;
        drop(one_at_a_time);
        Ok(outcome)
    }

    /// Dials `polyglot-served` by a guest, and says what it was answered.
    fn ask(&self, serving: &str, lines: &[String]) -> Result<Vec<u8>> {
        let name = format!("{serving}-client");
        let manifest = format!(
            "name: {name}\nentrypoint: svc_ask.wasm\npermissions: {{net: {{connect: [\"service://polyglot-served\"]}}}}\n"
        );
        let file = self.folder.path().join("apps").join(&name).with_extension("qyv");
        fs::write(&file, manifest)?;
        let mut arguments = vec!["service://polyglot-served".to_owned()];
        arguments.extend(lines.iter().cloned());
        self.deploy(&file, &arguments)?;
        let outcome = self.outcome(&name)?;
        self.must(&["rm", &name])?;
        anyhow::ensure!(
            outcome.code == Some(0),
            "the client ended with `{}`: {}",
            outcome.end(),
            String::from_utf8_lossy(&outcome.stderr)
        );
        Ok(outcome.stdout)
    }

    fn deploy(&self, file: &Path, arguments: &[String]) -> Result<()> {
        let file = file.display().to_string();
        let mut words = vec!["deploy", file.as_str(), "--grant", "services", "--detach", "--"];
        words.extend(arguments.iter().map(String::as_str));
        self.must(&words)
    }

    /// How a command ended, and its log.
    fn outcome(&self, name: &str) -> Result<Outcome> {
        // Its own exit code comes through.
        let mut wait = self.qyvol.command(self.folder.path());
        crate::process::run(wait.args(["wait", name]), b"", false, crate::qyvol::PATIENCE)?;
        let app = self.qyvol.json(self.folder.path(), &["inspect", name, "--json"])?;
        let end = &app["instances"][0]["last_end"];
        let mut outcome = Outcome {
            cause: end["cause"].as_str().unwrap_or("nothing").to_owned(),
            code: end["code"].as_u64().and_then(|code| u32::try_from(code).ok()),
            ..Outcome::default()
        };
        let log = self.qyvol.must(self.folder.path(), &["logs", name, "--json"])?;
        for line in String::from_utf8_lossy(&log.stdout).lines() {
            let line: Value = serde_json::from_str(line).context("a line of the log is no JSON")?;
            let text = format!("{}\n", line["text"].as_str().unwrap_or_default());
            let into = if line["stream"] == "stdout" { &mut outcome.stdout } else { &mut outcome.stderr };
            into.extend(text.into_bytes());
        }
        Ok(outcome)
    }

    fn must(&self, arguments: &[&str]) -> Result<()> {
        self.qyvol.must(self.folder.path(), arguments).map(|_| ())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.must(&["daemon", "stop", "--apps"]) {
            eprintln!("the daemon did not stop: {error:#}");
        }
    }
}
