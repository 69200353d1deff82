//! `qyvol verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use qyv_spec::app::Hash;
use qyv_spec::bundle::{TrustStore, Verdict, verify};
use qyv_spec::manifest::Version;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::output;
use crate::target::{Accept, bundle};

/// Check that a bundle is whole and signed by a key that you trust
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol verify app.qyvbin
  qyvol verify app.qyvbin --at-least 1.4.0     and that it is no older version

Exit codes: 0 whole and trusted for its name; 126 otherwise, with the reason; 127 not found")]
pub(crate) struct Verify {
    /// The bundle
    bundle: PathBuf,
    /// Refuse a version lower than this one
    #[arg(long, value_name = "VERSION")]
    at_least: Option<Version>,
    /// Accept a lower version all the same, with a warning
    #[arg(long, requires = "at_least")]
    force: bool,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Checks everything.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let store = bundle::trust_store()?;
        let mut report = json!({ "bundle": self.bundle, "whole": false });
        let checked = self.check(&store, &mut report);
        if !self.json {
            checked?;
            output::data(&shown(&report))?;
            return Ok(ExitCode::SUCCESS);
        }
        report["ok"] = checked.is_ok().into();
        let code = checked.as_ref().err().map_or(0, |failure| failure.code as u8);
        if let Err(failure) = checked {
            report["reason"] = failure.message.into();
            report["hints"] = failure.hints.into();
        }
        output::json(&report)?;
        Ok(ExitCode::from(code))
    }

    /// Fills the report in until something is wrong.
    fn check(&self, store: &TrustStore, report: &mut Value) -> Result<()> {
        let path = &self.bundle;
        let opened = bundle::read(path)?;
        let app = &opened.app;
        report["name"] = app.name.as_str().into();
        report["version"] = app.version.to_string().into();
        report["id"] = Hash(*opened.bundle.id()).to_string().into();
        bundle::check_whole(&opened.bundle, app).map_err(|error| bundle::damaged(path, &error))?;
        opened.bundle.entrypoint_module(app).map_err(|error| bundle::damaged(path, &error))?;
        report["whole"] = true.into();
        report["files"] = opened.bundle.files().len().into();
        let verdict = verify(&opened.bundle, app.name.as_str(), store);
        report["signatures"] = signatures(&opened, store);
        report["verdict"] = word(&verdict).into();
        bundle::accepted(&verdict, app, path, Accept::default())?;
        if let Verdict::Trusted { key, pattern, grants } = &verdict {
            report["trusted_key"] = key.id().to_string().into();
            report["pattern"] = pattern.to_string().into();
            report["grants"] = grants.clone().into();
        }
        self.check_version(&app.version)
    }

    fn check_version(&self, offered: &Version) -> Result<()> {
        let Some(least) = self.at_least.as_ref().filter(|least| offered.is_lower_than(least)) else {
            return Ok(());
        };
        let message = format!("`{}` is version {offered}, lower than {least}", self.bundle.display());
        if self.force {
            output::warning(&message);
            return Ok(());
        }
        Err(Failure::refused(message).hint("an old version can have known holes; `--force` accepts it"))
    }
}

/// The signatures of a bundle, and what is known of their keys.
pub(crate) fn signatures(opened: &bundle::Opened, store: &TrustStore) -> Value {
    let signature = |signature: &qyv_spec::bundle::Signature| {
        let key = signature.public_key().ok();
        let known = key.as_ref().and_then(|key| store.get(key));
        let names = known.map(|known| known.names.iter().map(ToString::to_string).collect::<Vec<_>>());
        json!({
            "key": signature.key_id().to_string(),
            "public": key.map(|key| key.to_string()),
            "known": known.is_some(),
            "names": names.unwrap_or_default(),
            "revoked": known.is_some_and(|known| known.revoked),
            "comment": known.and_then(|known| known.comment.clone()),
        })
    };
    opened.bundle.signatures().iter().map(signature).collect()
}

/// A verdict's word in reports.
pub(crate) const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Trusted { .. } => "trusted",
        Verdict::Unbound { .. } => "unbound",
        Verdict::Revoked { .. } => "revoked",
        Verdict::Unsigned => "unsigned",
        Verdict::BadSignature { .. } => "bad-signature",
    }
}

fn shown(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or_default();
    let mut lines = format!(
        "app     {} {}\nid      {}\nkey     {}, trusted for `{}`\n",
        text("name"),
        text("version"),
        text("id"),
        text("trusted_key"),
        text("pattern"),
    );
    if let Some(grants) = report["grants"].as_str() {
        lines.push_str(&format!("grants  {grants}, without a question\n"));
    }
    lines + "whole and trusted\n"
}
