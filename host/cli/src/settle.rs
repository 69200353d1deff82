//! Waiting until apps are where they were sent: up, or down.

use qyv_spec::service::Name;
use qyvol_protocol::api::{AppDetail, AppSummary};

use crate::client::{AWAY, Client, Events, Line};
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::AppsProgress;

/// The most apps whose failures are told at length.
const TOLD_MAX: usize = 10;

/// Whether an app has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is on its way.
    Moving,
    /// It is there.
    There,
    /// It will not get there by itself.
    Failed,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// All are there.
    All,
    /// These are not.
    Without(Vec<Name>),
    /// Ctrl-C.
    Interrupted,
}

/// Watches apps by the daemon's events. Make it before the change that it is to see.
pub(crate) struct Watcher<'a> {
    client: &'a Client,
    events: Events<'a>,
}

impl<'a> Watcher<'a> {
    /// Watches what happens after the event `since`, or from now on.
    pub(crate) fn new(client: &'a Client, since: Option<u64>) -> Result<Self> {
        let events = client.events(since, None)?;
        Ok(Self { client, events })
    }

    /// Waits for each of `apps`, and shows what they are at.
    pub(crate) fn wait(
        &mut self,
        apps: &[Name],
        arrival: impl Fn(&AppSummary) -> Arrival,
    ) -> Result<Settled> {
        let mut progress = AppsProgress::new(apps.len());
        let mut moving: Vec<Name> = apps.to_vec();
        let mut failed = Vec::new();
        loop {
            // An event only wakes: what counts is what is there when it is asked for, so none can be missed, and a flood
            // of them costs one question.
            let found = self.summaries(&moving)?;
            moving.retain(|name| {
                let Some(app) = found.iter().find(|app| app.app == *name) else {
                    progress.arrived(name, "removed", "it was removed");
                    return false;
                };
                let arrival = arrival(app);
                match arrival {
                    Arrival::Moving => progress.moving(name, &app.status),
                    Arrival::There => progress.arrived(name, &app.state, &app.status),
                    Arrival::Failed => {
                        progress.arrived(name, &app.state, &app.status);
                        failed.push(name.clone());
                    }
                }
                arrival == Arrival::Moving
            });
            if moving.is_empty() {
                return Ok(if failed.is_empty() { Settled::All } else { Settled::Without(failed) });
            }
            if let Some(interrupted) = self.woken(&moving, &mut progress)? {
                return Ok(interrupted);
            }
        }
    }

    /// Waits for an event about one of the apps, and takes those that are there too.
    fn woken(&mut self, apps: &[Name], progress: &mut AppsProgress) -> Result<Option<Settled>> {
        let mut woken = false;
        loop {
            let patience = if woken { std::time::Duration::ZERO } else { std::time::Duration::MAX };
            match self.events.next_within(patience)? {
                Line::Text(event) => {
                    if let Some(app) = event.app.filter(|app| apps.contains(app)) {
                        progress.moving(&app, &event.message);
                        woken = true;
                    }
                }
                Line::Quiet => return Ok(None),
                Line::Interrupted => return Ok(Some(Settled::Interrupted)),
                Line::End => {
                    return Err(Failure::own("the daemon ended meanwhile")
                        .hint("`qyvol daemon start` starts it again; what was accepted is kept"));
                }
            }
        }
    }

    /// What the apps are at; of a daemon that is just started anew, when it is there again.
    fn summaries(&self, apps: &[Name]) -> Result<Vec<AppSummary>> {
        match self.asked(apps) {
            Err(failure) if failure.cause == AWAY && self.client.is_back()? => self.asked(apps),
            other => other,
        }
    }

    fn asked(&self, apps: &[Name]) -> Result<Vec<AppSummary>> {
        match apps {
            [one] => match self.client.get::<AppDetail>(&format!("/v1/apps/{one}")) {
                Ok(detail) => Ok(vec![detail.summary]),
                Err(failure) if failure.code == crate::failure::Code::NotFound => Ok(Vec::new()),
                Err(failure) => Err(failure),
            },
            _ => self.client.get("/v1/apps"),
        }
    }
}

/// Up: ready, or a command that is done, or one that waits for its time.
pub(crate) fn up(app: &AppSummary) -> Arrival {
    match app.state.as_str() {
        "ready" | "done" | "scheduled" => Arrival::There,
        "stopped" if app.replicas == 0 => Arrival::There,
        "failed" | "crash-looping" | "unhealthy" | "stuck" => Arrival::Failed,
        _ => Arrival::Moving,
    }
}

/// Down: nothing of it runs.
pub(crate) fn down(app: &AppSummary) -> Arrival {
    match app.state.as_str() {
        "stopped" | "done" | "failed" => Arrival::There,
        "stuck" => Arrival::Failed,
        _ => Arrival::Moving,
    }
}

/// Says of each app why it is not up, and where to look.
pub(crate) fn tell_failures(client: &Client, failed: &[Name]) -> Failure {
    for name in failed.iter().take(TOLD_MAX) {
        let Ok(app) = client.get::<AppDetail>(&format!("/v1/apps/{name}")) else { continue };
        let ends = app.instances.iter().filter_map(|instance| instance.last_end.as_ref());
        if let Some(end) = ends.max_by_key(|end| end.time) {
            output::note(&format!("`{name}`: {}", end.message));
            for denial in &end.denials {
                output::note(&format!("  {denial}"));
            }
        }
    }
    let names: Vec<String> = failed.iter().take(TOLD_MAX).map(|name| format!("`{name}`")).collect();
    let more = if failed.len() > TOLD_MAX { ", …" } else { "" };
    let which = failed.first().map_or("APP", Name::as_str);
    Failure::found(format!("not up: {}{more}", names.join(", ")))
        .hint(format!("`qyvol logs {which}` shows what it wrote, `qyvol inspect {which}` all that is known"))
}
