//! Goal: whoever offers, serves, is granted and dials in whatever order, the answers are those of the rules.
//! Method: random operations on a network and on lists that are searched from the beginning each time.

use std::vec;
use std::vec::Vec;

use proptest::collection::vec as vector;
use proptest::prelude::*;
use qyv_spec::manifest::{Protocol, Service};
use qyv_spec::service::{SYSTEM_SERVICES, ServiceAddress};
use qyv_vfs::{Budget, Error, Result};

use super::Locked;
use crate::{
    AppId, BACKLOG_MAX, Bridge, Dial, Direction, End, InstanceId, ListenerId, Network, Provider, Route, Wakes,
};

const NAMES: [&str; 4] = ["ai", "b", "c", "d"];
const PORTS: [Option<u16>; 3] = [None, Some(1), Some(2)];

/// A name and a port, by their index.
type Which = (usize, usize);

#[derive(Clone, Debug)]
enum Step {
    Claim(u64, Vec<Which>),
    Release(u64),
    Listen(u64, u64, Which),
    ListenElsewhere(u64, u64, Which),
    Close(usize),
    Down(u64),
    Grant(u64, Vec<Which>),
    Revoke(u64),
    Dial(u64, Which, usize),
    Deliver(Which),
    Accept(usize),
    HangUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || (0..NAMES.len(), 0..PORTS.len());
    let some = || vector(which(), 0..4);
    let (app, instance) = (|| 0..3_u64, || 0..6_u64);
    prop_oneof![
        1 => (app(), some()).prop_map(|(app, services)| Step::Claim(app, services)),
        1 => app().prop_map(Step::Release),
        4 => (app(), instance(), which()).prop_map(|(app, id, which)| Step::Listen(app, id, which)),
        2 => (app(), instance(), which()).prop_map(|(app, id, which)| Step::ListenElsewhere(app, id, which)),
        1 => any::<usize>().prop_map(Step::Close),
        1 => instance().prop_map(Step::Down),
        2 => (app(), some()).prop_map(|(app, grants)| Step::Grant(app, grants)),
        1 => app().prop_map(Step::Revoke),
        10 => (app(), which(), prop_oneof![Just(1), Just(BACKLOG_MAX)])
            .prop_map(|(app, which, times)| Step::Dial(app, which, times)),
        1 => which().prop_map(Step::Deliver),
        4 => any::<usize>().prop_map(Step::Accept),
        1 => any::<usize>().prop_map(Step::HangUp),
    ]
}

/// App 0 is the system.
fn provider(app: u64) -> Provider {
    if app == 0 { Provider::System } else { Provider::App(AppId(app)) }
}

struct Replica {
    app: u64,
    instance: u64,
    which: Which,
    /// `None` for one elsewhere.
    listener: Option<ListenerId>,
    /// Its offer is gone, the listener is not.
    hidden: bool,
}

struct Held {
    app: u64,
    which: Which,
    end: End<Locked>,
    /// Where it waits to be accepted.
    waits_at: Option<ListenerId>,
    expected: Error,
    /// The other end is elsewhere.
    _bridge: Option<Bridge<Locked>>,
}

#[derive(Default)]
struct Model {
    /// In the order of the claims.
    offers: Vec<(u64, Which)>,
    replicas: Vec<Replica>,
    grants: Vec<(u64, Which)>,
    held: Vec<Held>,
    accepted: Vec<End<Locked>>,
}

impl Model {
    fn granted(&self, app: u64, (name, port): Which) -> bool {
        self.grants.iter().any(|(holder, grant)| {
            *holder == app && grant.0 == name && (PORTS[grant.1].is_none() || grant.1 == port)
        })
    }

    fn queue(&self, listener: ListenerId) -> usize {
        self.held.iter().filter(|held| held.waits_at == Some(listener)).count()
    }

    /// The port that is meant, or why it cannot be dialled. `app` is `None` for who was checked elsewhere.
    fn dial(&self, app: Option<u64>, (name, port): Which) -> Result<Which> {
        let numbered = PORTS[port].is_some();
        if let Some(app) = app {
            let known = self.grants.iter().any(|(holder, grant)| *holder == app && grant.0 == name);
            if !known || numbered && !self.granted(app, (name, port)) {
                return Err(Error::ACCES);
            }
        }
        let mut offered = self.offers.iter().filter(|(_, offer)| offer.0 == name).map(|(_, offer)| *offer);
        let meant = offered.find(|offer| {
            let matches = !numbered || offer.1 == port;
            matches && app.is_none_or(|app| self.granted(app, *offer))
        });
        let meant = meant.ok_or(Error::NOENT)?;
        let room = |replica: &Replica| match replica.listener {
            Some(listener) => self.queue(listener) < BACKLOG_MAX,
            None => app.is_some(),
        };
        let up =
            self.replicas.iter().any(|replica| replica.which == meant && !replica.hidden && room(replica));
        if up { Ok(meant) } else { Err(Error::CONNREFUSED) }
    }

    fn close(&mut self, listener: ListenerId) {
        for held in self.held.iter_mut().filter(|held| held.waits_at == Some(listener)) {
            held.waits_at = None;
            if held.expected == Error::AGAIN {
                held.expected = Error::CONNRESET;
            }
        }
    }

    fn regrant(&mut self, app: u64, grants: Vec<Which>) {
        self.grants.retain(|(holder, _)| *holder != app);
        self.grants.extend(grants.into_iter().map(|grant| (app, grant)));
        let mut held = core::mem::take(&mut self.held);
        for held in held.iter_mut().filter(|held| held.app == app && !self.granted(app, held.which)) {
            held.expected = Error::CONNABORTED;
        }
        self.held = held;
    }
}

fn run(steps: Vec<Step>) {
    let mut network = Network::<Locked>::default();
    let mut model = Model::default();
    let budget = Budget::unlimited();
    let mut wakes = Wakes::new();
    for step in steps {
        match step {
            Step::Claim(app, services) => {
                let reserved = |&(name, _): &Which| app != 0 && SYSTEM_SERVICES.contains(&NAMES[name]);
                let taken = |&(name, _): &Which| {
                    model.offers.iter().any(|(owner, offer)| *owner != app && offer.0 == name)
                };
                let twice =
                    services.iter().enumerate().any(|(index, service)| services[..index].contains(service));
                let wrong = services.iter().any(|service| reserved(service) || taken(service)) || twice;
                let manifest: Vec<Service> = services
                    .iter()
                    .map(|&(name, port)| Service {
                        name: NAMES[name].parse().unwrap(),
                        port: PORTS[port],
                        proto: Protocol::Lines,
                    })
                    .collect();
                assert_eq!(network.claim(provider(app), &manifest, "").is_err(), wrong);
                if !wrong {
                    model.offers.retain(|(owner, _)| *owner != app);
                    for replica in model.replicas.iter_mut().filter(|replica| replica.app == app) {
                        replica.hidden |= !services.contains(&replica.which);
                    }
                    model.offers.extend(services.into_iter().map(|service| (app, service)));
                }
            }
            Step::Release(app) => {
                network.release(provider(app));
                model.offers.retain(|(owner, _)| *owner != app);
                model
                    .replicas
                    .iter_mut()
                    .filter(|replica| replica.app == app)
                    .for_each(|replica| replica.hidden = true);
            }
            Step::Listen(app, instance, which) | Step::ListenElsewhere(app, instance, which) => {
                let serves = |replica: &Replica| {
                    (replica.instance, replica.which, replica.hidden) == (instance, which, false)
                };
                let expected = if !model.offers.contains(&(app, which)) {
                    Err(Error::NOENT)
                } else if model.replicas.iter().any(serves) {
                    Err(Error::EXIST)
                } else {
                    Ok(())
                };
                let (name, port) = (NAMES[which.0], PORTS[which.1]);
                let listener = if matches!(step, Step::Listen(..)) {
                    network.listen(provider(app), InstanceId(instance), name, port, &budget).map(Some)
                } else {
                    let route = Route(instance);
                    network
                        .listen_elsewhere(provider(app), InstanceId(instance), name, port, route)
                        .map(|()| None)
                };
                assert_eq!(listener.map(|_| ()), expected);
                if let Ok(listener) = listener {
                    model.replicas.push(Replica { app, instance, which, listener, hidden: false });
                }
            }
            Step::Close(index) => {
                let listeners: Vec<_> =
                    model.replicas.iter().filter_map(|replica| replica.listener).collect();
                if let Some(&listener) = listeners.get(index.checked_rem(listeners.len()).unwrap_or(0)) {
                    network.close(listener, &mut wakes);
                    network.close(listener, &mut wakes);
                    model.replicas.retain(|replica| replica.listener != Some(listener));
                    model.close(listener);
                }
            }
            Step::Down(instance) => {
                network.down(InstanceId(instance), &mut wakes);
                let down: Vec<_> =
                    model.replicas.extract_if(.., |replica| replica.instance == instance).collect();
                down.iter().filter_map(|replica| replica.listener).for_each(|listener| model.close(listener));
            }
            Step::Grant(app, grants) => {
                let address = |&(name, port): &Which| ServiceAddress {
                    name: NAMES[name].parse().unwrap(),
                    port: PORTS[port],
                };
                network.grant(AppId(app), grants.iter().map(address).collect(), &mut wakes);
                model.regrant(app, grants);
            }
            Step::Revoke(app) => {
                network.revoke(AppId(app), &mut wakes);
                model.regrant(app, vec![]);
            }
            Step::Dial(app, which, times) => {
                for _ in 0..times {
                    let dial = Dial {
                        app: AppId(app),
                        name: NAMES[which.0],
                        port: PORTS[which.1],
                        ways: Direction::Both,
                        budget: &budget,
                    };
                    let before = queues(&mut network, &model);
                    let dialled = network.dial(&dial, &mut wakes);
                    assert_eq!(
                        dialled.as_ref().map(|_| ()).map_err(|error| *error),
                        model.dial(Some(app), which).map(|_| ())
                    );
                    let Ok(dialled) = dialled else { break };
                    let meant = model.dial(Some(app), which).unwrap();
                    let waits_at = queues(&mut network, &model)
                        .into_iter()
                        .find(|queue| !before.contains(queue))
                        .map(|queue| queue.0);
                    let serving = model.replicas.iter().find(|replica| match &dialled.bridge {
                        Some(bridge) => {
                            replica.which == meant
                                && bridge.route == Route(replica.instance)
                                && replica.listener.is_none()
                        }
                        None => replica.listener == waits_at,
                    });
                    let serving = serving.expect("somebody serves it");
                    assert_eq!((serving.which, serving.hidden), (meant, false));
                    let bridge = dialled.bridge;
                    model.held.push(Held {
                        app,
                        which: meant,
                        end: dialled.end,
                        waits_at,
                        expected: Error::AGAIN,
                        _bridge: bridge,
                    });
                }
            }
            Step::Deliver(which) => {
                let before = queues(&mut network, &model);
                let end = network.deliver(NAMES[which.0], PORTS[which.1], &budget, &mut wakes);
                assert_eq!(
                    end.as_ref().map(|_| ()).map_err(|error| *error),
                    model.dial(None, which).map(|_| ())
                );
                if let Ok(end) = end {
                    let waits_at = queues(&mut network, &model)
                        .into_iter()
                        .find(|queue| !before.contains(queue))
                        .map(|queue| queue.0);
                    assert!(waits_at.is_some());
                    // Of no app here: no grant takes it back.
                    model.held.push(Held {
                        app: u64::MAX,
                        which,
                        end,
                        waits_at,
                        expected: Error::AGAIN,
                        _bridge: None,
                    });
                }
            }
            Step::Accept(index) => {
                let listeners: Vec<_> =
                    model.replicas.iter().filter_map(|replica| replica.listener).collect();
                if let Some(&listener) = listeners.get(index.checked_rem(listeners.len()).unwrap_or(0)) {
                    let first = model.held.iter_mut().find(|held| held.waits_at == Some(listener));
                    let accepted = network.accept(listener);
                    assert_eq!(accepted.is_ok(), first.is_some());
                    if let (Ok(end), Some(held)) = (accepted, first) {
                        held.waits_at = None;
                        if held.expected == Error::AGAIN {
                            assert_eq!(
                                (held.end.send(b"x"), end.receive(&mut [0], false)),
                                (Ok(1), Ok(1)),
                                "first in, first out"
                            );
                        }
                        model.accepted.push(end);
                    }
                }
            }
            Step::HangUp(index) => {
                // One that still waits keeps its place in the queue: leave those alone.
                let mut settled: Vec<usize> =
                    (0..model.held.len()).filter(|at| model.held[*at].waits_at.is_none()).collect();
                if !settled.is_empty() {
                    model.held.remove(settled.swap_remove(index % settled.len()));
                }
            }
        }
        for held in &model.held {
            assert_eq!(held.end.receive(&mut [0], false), Err(held.expected));
        }
    }
    drop((network, model));
    assert_eq!(budget.used(), 0);
}

/// How many wait at each listener.
fn queues(network: &mut Network<Locked>, model: &Model) -> Vec<(ListenerId, u64)> {
    let listeners = model.replicas.iter().filter_map(|replica| replica.listener);
    let mut wakes = Wakes::new();
    listeners.map(|id| (id, network.ready(id, None, &mut wakes).map_or(0, |ready| ready.bytes))).collect()
}

proptest! {
    #[test]
    fn the_network_answers_by_its_rules(steps in vector(step(), 0..80)) {
        run(steps);
    }
}
