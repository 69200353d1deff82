//! What programs ask of `service://qyvold`, by their workers ([`qyvol_protocol::system`]).
//!
//! Who asks is looked up at each question: a worker speaks for the instances that it runs, and for no other. What a program
//! may do is what its instance was granted, and, when it was started by another app, what each app on the way was granted
//! too.

mod child;
mod logs;

use std::ops::Bound;
use std::sync::Arc;

use qyv_spec::app::Asked;
use qyv_spec::grants::{Capabilities, GrantedMount, MountedFrom};
use qyv_spec::manifest::{AdminRight, Mode};
use qyv_spec::service::Name;
use qyvol_protocol::InstanceId;
use qyvol_protocol::api::InstanceDetail;
use qyvol_protocol::system::{
    APPS_MAX, Answer, AppState, Ask, CHAIN_MAX, Change, LINES_MAX, Question, Reach, Refused, RefusedKind,
    SlotState, Told,
};
use qyvol_protocol::worker::ToWorker;

pub(super) use child::dialled;

use super::run::Revision;
use super::{Message, Overseer};
use crate::fault::{Fault, Kind};

/// The most answers that are worked on beside this thread.
const JOBS_MAX: usize = 8;

/// Something that takes longer than this thread has time for.
type Job = Box<dyn FnOnce() -> Told + Send>;

/// How a question is answered.
enum Answered {
    Now(Told),
    Later(Job),
}

/// A program that asks.
struct Asking {
    /// What its instance runs.
    root: Arc<Revision>,
    /// What it runs itself.
    own: Arc<Revision>,
    /// What it may do.
    granted: Capabilities,
    /// The hosts that each on the way may reach.
    reach: Vec<Reach>,
}

/// Whether an app dials `service://qyvold`.
fn dials_system(asked: &Asked) -> bool {
    asked.exec.own || !asked.exec.run.is_empty() || !asked.admin.is_empty()
}

impl Overseer {
    /// A worker asks for one of its programs.
    pub(super) fn asked(&mut self, worker: &str, ask: Ask) {
        let Ask { number, instance, via, question } = ask;
        match self.answer(worker, &instance, &via, question) {
            Ok(Answered::Now(told)) => self.answered(worker, number, told),
            Ok(Answered::Later(job)) => self.later(worker, number, job),
            Err(refused) => self.answered(worker, number, Told::Refused(refused)),
        }
    }

    /// A job for a worker is done.
    pub(super) fn job_done(&mut self, worker: &str, number: u64, told: Told) {
        self.jobs = self.jobs.saturating_sub(1);
        self.answered(worker, number, told);
    }

    fn answered(&self, worker: &str, number: u64, told: Told) {
        if let Some(worker) = self.workers.0.get(worker) {
            worker.link.send(ToWorker::Answer(Box::new(Answer { number, told })), Vec::new());
        }
    }

    fn later(&mut self, worker: &str, number: u64, job: Job) {
        let busy = |message: &str| Told::Refused(refused(RefusedKind::Busy, message));
        if self.jobs >= JOBS_MAX {
            let told = busy("the daemon does as much for others already; try again in a moment");
            return self.answered(worker, number, told);
        }
        let (inbox, name) = (self.handle.inbox.clone(), worker.to_owned());
        let work = move || {
            // A daemon that ends has nobody to tell.
            let _ = inbox.send(Message::Job(name, number, job()));
        };
        match std::thread::Builder::new().name("for an app".into()).spawn(work) {
            Ok(_) => self.jobs += 1,
            Err(error) => self.answered(worker, number, busy(&format!("cannot start a thread: {error}"))),
        }
    }

    fn answer(
        &mut self,
        worker: &str,
        instance: &InstanceId,
        via: &[Name],
        question: Question,
    ) -> Result<Answered, Refused> {
        let asking = self.asking(worker, instance, via)?;
        let admin = &asking.granted.permissions.admin;
        let may = |right: AdminRight| {
            if admin.contains(&right) { Ok(()) } else { Err(no_admin(right.word())) }
        };
        let looks = || if admin.is_empty() { Err(no_admin("stop")) } else { Ok(()) };
        Ok(match question {
            Question::Run { app: None, program, compile } => {
                return self.run_own(&asking, program.as_deref(), compile);
            }
            Question::Run { app: Some(_), program: Some(_), .. } => {
                let message = "`program` is one of the own bundle; of another app, it is the app's";
                return Err(refused(RefusedKind::Malformed, message));
            }
            Question::Run { app: Some(app), program: None, compile } => {
                return self.run_app(&asking, &app, compile);
            }
            Question::Apps { after } => {
                looks()?;
                Answered::Now(self.app_states(after.as_ref()))
            }
            Question::Inspect { app } => {
                looks()?;
                Answered::Now(Told::App(Box::new(self.app_state(&app)?)))
            }
            Question::Change { app, to } => {
                may(AdminRight::Stop)?;
                self.change_for(instance, &app, to)?;
                Answered::Now(Told::Done)
            }
            Question::Logs { app, tail } => {
                may(AdminRight::Logs)?;
                let slots = self.slots(&app)?;
                let folder = self.options.logs().join(app.as_str());
                Answered::Later(Box::new(move || logs::last(&folder, &slots, tail.min(LINES_MAX))))
            }
        })
    }

    /// What may be done by who asks. Refused when the worker does not run that instance.
    fn asking(&mut self, worker: &str, id: &InstanceId, via: &[Name]) -> Result<Asking, Refused> {
        let run = self.run_of(worker, id).map(|run| run.instance.clone());
        let instance =
            run.ok_or_else(|| refused(RefusedKind::Conflict, format!("`{id}` does not run there")))?;
        let failed = |why: String| refused(RefusedKind::Failed, why);
        let root = self.revision(&instance).map_err(failed)?;
        let mut granted = self.reached(&root)?;
        let mut asking = Asking {
            own: Arc::clone(&root),
            reach: vec![reach_of(&granted)],
            root,
            granted: granted.clone(),
        };
        if via.len() > CHAIN_MAX {
            let message = format!("it was started through more than {CHAIN_MAX} apps");
            return Err(refused(RefusedKind::Conflict, message));
        }
        for name in via {
            may_run(&granted, name)?;
            let own = self.installed(name)?;
            let outer = granted;
            let mine = self.reached(&own)?;
            granted = mine.within(&outer);
            asking.reach.push(reach_of(&mine));
            asking.own = own;
        }
        asking.granted = granted;
        Ok(asking)
    }

    /// What an app was granted, with the folders that were shown to it at its deploy.
    fn reached(&self, revision: &Revision) -> Result<Capabilities, Refused> {
        let mut granted = self.granted(revision)?;
        for directory in &revision.request.directories {
            let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
            if let Ok(mount) = directory.guest.parse() {
                let from = MountedFrom::Bound { path: directory.host.clone() };
                granted.mounts.push(GrantedMount { mount, mode, from });
            }
        }
        Ok(granted)
    }

    /// The revision of an app that is to run.
    fn installed(&self, name: &Name) -> Result<Arc<Revision>, Refused> {
        let entry = self.app(name)?;
        entry.current().cloned().ok_or_else(|| {
            refused(RefusedKind::Conflict, format!("`{name}` cannot run; `qyvol inspect {name}` tells why"))
        })
    }

    fn app_states(&self, after: Option<&Name>) -> Told {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut apps = Vec::new();
        for (name, _) in self.apps.range::<Name, _>((from, Bound::Unbounded)) {
            if apps.len() == APPS_MAX {
                return Told::Apps { apps, more: true };
            }
            apps.extend(self.state_of(name));
        }
        Told::Apps { apps, more: false }
    }

    fn state_of(&self, name: &Name) -> Option<AppState> {
        let status = self.supervisor.status(name, self.now())?;
        let summary = self.summary(name, self.apps.get(name)?, &status);
        Some(AppState {
            app: summary.app,
            version: summary.version,
            kind: summary.kind,
            state: summary.state,
            status: summary.status,
            replicas: summary.replicas,
            ready: summary.ready,
            restarts: summary.restarts,
            instances: Vec::new(),
        })
    }

    fn app_state(&self, name: &Name) -> Result<AppState, Refused> {
        let none = || refused(RefusedKind::Unknown, format!("there is no app `{name}`"));
        let status = self.supervisor.status(name, self.now()).ok_or_else(none)?;
        let mut state = self.state_of(name).ok_or_else(none)?;
        state.instances = status
            .slots
            .iter()
            .map(|slot| {
                let InstanceDetail { instance, state, started, last_end, .. } = self.instance(name, slot);
                SlotState { slot: instance.slot, state, started, last_end }
            })
            .collect();
        Ok(state)
    }

    fn change_for(&mut self, by: &InstanceId, app: &Name, to: Change) -> Result<(), Refused> {
        self.app(app)?;
        let (done, word) = match to {
            Change::Stop => (self.stop_app(app), "stops"),
            Change::Start => (self.start_app(app), "starts"),
            Change::Restart => (self.restart_app(app), "restarts"),
        };
        done?;
        self.tell_of_app("admin", app, format!("`{by}` {word} it"));
        Ok(())
    }
}

/// Refused unless `name` is among the apps that may be started.
fn may_run(granted: &Capabilities, name: &Name) -> Result<(), Refused> {
    if granted.permissions.exec.run.contains(name) {
        return Ok(());
    }
    let message = format!("not granted: to start the app `{name}` (`permissions.exec.run`)");
    Err(denied(message, format!("permissions: {{ exec: {{ run: [{name}] }} }}")))
}

fn no_admin(word: &str) -> Refused {
    let what = match word {
        "logs" => "read the logs of other apps",
        "stop" => "look at other apps, and stop and start them",
        _ => "do this",
    };
    denied(
        format!("not granted: to {what} (`permissions.admin`)"),
        format!("permissions: {{ admin: [{word}] }}"),
    )
}

fn denied(message: String, line: String) -> Refused {
    Refused {
        kind: RefusedKind::Denied,
        message,
        hint: Some(format!("ask for it in the manifest: `{line}`")),
    }
}

fn refused(kind: RefusedKind, message: impl Into<String>) -> Refused {
    Refused { kind, message: message.into(), hint: None }
}

fn reach_of(granted: &Capabilities) -> Reach {
    let net = &granted.permissions.net;
    Reach { connect: net.connect.clone(), anywhere: net.anywhere }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            Kind::NotFound => RefusedKind::Unknown,
            Kind::Conflict => RefusedKind::Conflict,
            Kind::Busy => RefusedKind::Busy,
            Kind::Unavailable => RefusedKind::Unavailable,
            Kind::Refused | Kind::Unauthorized => RefusedKind::Denied,
            Kind::Invalid | Kind::TooLarge | Kind::UpgradeRequired => RefusedKind::Malformed,
            Kind::Internal => RefusedKind::Failed,
        };
        Self { kind, message: fault.message, hint: fault.hint }
    }
}
