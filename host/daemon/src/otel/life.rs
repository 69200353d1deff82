//! Spans of deployments and of starts of instances.

use std::collections::BTreeMap;

use qyv_spec::service::Name;
use qyv_supervise::{Action, Change, Event, Instance, Outcome, State};

use super::sampler::Sampler;
use super::span::{Kind, Span};

/// The most deployments, and the most starts, that are followed at once. Those beyond it are not told.
const OPEN_MAX: usize = 10_000;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The revision of each app that was deployed and has not come up.
    deployments: BTreeMap<Name, (u64, Span)>,
    /// Instances that are being started, by their leases.
    starts: BTreeMap<u64, Span>,
}

impl Life {
    /// A revision is to run. One that had not come up by now never will.
    pub(super) fn deployed(&mut self, app: &Name, revision: u64, sampler: Sampler) {
        if self.deployments.len() < OPEN_MAX || self.deployments.contains_key(app) {
            let span = Span::begin(format!("deploy {app}"), Kind::Internal, None, sampler);
            let span = span.with("qyvol.app", app).with("qyvol.revision", revision);
            self.deployments.insert(app.clone(), (revision, span));
        }
    }

    /// What ends with this action. A start belongs to the deployment that it comes from.
    pub(super) fn acts(&mut self, action: &Action, sampler: Sampler) -> Option<Span> {
        match action {
            Action::Start(instance) => {
                self.start(instance, sampler);
                None
            }
            Action::Announce(app, change) => {
                let (revision, _) = self.deployments.get(app)?;
                let failure = outcome(change, *revision)?;
                let (_, span) = self.deployments.remove(app)?;
                Some(span.end(failure))
            }
            _ => None,
        }
    }

    /// What ends with this event.
    pub(super) fn happens(&mut self, event: &Event) -> Option<Span> {
        let (instance, failure) = match event {
            Event::Started(instance) => (instance, None),
            Event::StartFailed(instance, why) => (instance, Some(why.clone())),
            Event::Exited(instance, cause) => (instance, Some(cause.to_string())),
            Event::Lost(instance) => (instance, Some("its worker was lost".to_owned())),
            _ => return None,
        };
        Some(self.starts.remove(&instance.lease)?.end(failure))
    }

    fn start(&mut self, instance: &Instance, sampler: Sampler) {
        if self.starts.len() >= OPEN_MAX {
            return;
        }
        let Instance { app, slot, generation, lease } = instance;
        let deployment = self.deployments.get(app).filter(|(revision, _)| revision == generation);
        let parent = deployment.map(|(_, span)| span.context);
        let span = Span::begin(format!("start {app}"), Kind::Internal, parent, sampler)
            .with("qyvol.app", app)
            .with("qyvol.slot", slot)
            .with("qyvol.revision", generation)
            .with("qyvol.generation", lease);
        self.starts.insert(*lease, span);
    }
}

/// Whether a deployment of this revision is over with a change, and how: `Some(None)` is well.
#[expect(clippy::option_option, reason = "the outer is whether, the inner is why not")]
fn outcome(change: &Change, deployed: u64) -> Option<Option<String>> {
    match change {
        Change::State(_, revision, state) if *revision == deployed => match state {
            State::Ready | State::Stopped | State::Scheduled { .. } | State::Ended(Outcome::Done) => {
                Some(None)
            }
            State::CrashLooping { .. } | State::Ended(Outcome::Failed(_)) => Some(Some(state.to_string())),
            _ => None,
        },
        Change::Replaced(revision) if *revision == deployed => Some(None),
        Change::Kept { failed, .. } if *failed == deployed => Some(Some(change.to_string())),
        Change::Removed => Some(Some(change.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Sampler {
        Sampler::named(None, None).unwrap()
    }

    fn instance(generation: u64, lease: u64) -> Instance {
        Instance { app: "web".parse().unwrap(), slot: 0, generation, lease }
    }

    #[test]
    fn a_start_is_part_of_its_deployment_and_each_ends_once() {
        let (mut life, app) = (Life::default(), "web".parse().unwrap());
        life.deployed(&app, 3, all());
        assert!(life.acts(&Action::Start(instance(3, 9)), all()).is_none());
        let start = life.happens(&Event::Started(instance(3, 9))).unwrap().json();
        assert!(life.happens(&Event::Started(instance(3, 9))).is_none());
        let state = |revision, state| Action::Announce(app.clone(), Change::State(0, revision, state));
        for nothing in [state(3, State::Starting), state(2, State::Ready)] {
            assert!(life.acts(&nothing, all()).is_none());
        }
        let deploy = life.acts(&state(3, State::Ready), all()).unwrap().json();
        assert!(life.acts(&state(3, State::Ready), all()).is_none());
        assert_eq!(start["parentSpanId"], deploy["spanId"]);
        assert_eq!(start["traceId"], deploy["traceId"]);
        assert_eq!(
            (&deploy["name"], &deploy["status"]["code"]),
            (&"deploy web".into(), &serde_json::Value::Null)
        );
    }

    #[test]
    fn what_fails_says_why_and_starts_of_other_revisions_stand_alone() {
        let (mut life, app): (_, Name) = (Life::default(), "web".parse().unwrap());
        life.deployed(&app, 3, all());
        life.acts(&Action::Start(instance(2, 8)), all());
        let failed = life.happens(&Event::StartFailed(instance(2, 8), "no disk".into())).unwrap().json();
        assert_eq!(failed["status"]["message"], "no disk");
        assert_eq!(failed.get("parentSpanId"), None);
        let removed = life.acts(&Action::Announce(app, Change::Removed), all()).unwrap().json();
        assert_eq!(removed["status"]["code"], 2);
    }
}
