//! Names, turns, limits and what is shown, one at a time.

use std::string::{String, ToString};
use std::vec::Vec;

use qyv_spec::manifest::{Protocol, Service};
use qyv_spec::service::SYSTEM_SERVICES;
use qyv_vfs::{Budget, Error, Result};
use serde_json::json;

use super::{Locked, bell};
use crate::{
    AppId, BACKLOG_MAX, Bridge, ClaimError, Dial, Dialled, Direction, End, Failure, InstanceId, Interest,
    ListenerId, Network, Provider, Readiness, Route, Wakes,
};

const LOGGER: Provider = Provider::App(AppId(1));
const CLIENT: AppId = AppId(2);

fn service(name: &str, port: Option<u16>) -> Service {
    Service { name: name.parse().unwrap(), port, proto: Protocol::Lines }
}

fn network(services: &[Service], grants: &[&str]) -> Network<Locked> {
    let mut network = Network::default();
    network.claim(LOGGER, services, "Keeps lines").unwrap();
    grant(&mut network, grants);
    network
}

fn grant(network: &mut Network<Locked>, grants: &[&str]) {
    let grants = grants.iter().map(|grant| grant.parse().unwrap());
    network.grant(CLIENT, grants.collect(), &mut Wakes::new());
}

fn dial(network: &mut Network<Locked>, name: &str, port: Option<u16>) -> Result<Dialled<Locked>> {
    let budget = Budget::unlimited();
    let dial = Dial { app: CLIENT, name, port, ways: Direction::Both, budget: &budget };
    network.dial(&dial, &mut Wakes::new())
}

fn listen(network: &mut Network<Locked>, instance: u64, name: &str, port: Option<u16>) -> ListenerId {
    network.listen(LOGGER, InstanceId(instance), name, port, &Budget::unlimited()).unwrap()
}

fn receive(end: &End<Locked>) -> Result<String> {
    let mut into = [0; 64];
    let count = end.receive(&mut into, false)?;
    Ok(String::from_utf8(into[..count].to_vec()).unwrap())
}

#[test]
fn what_is_not_granted_looks_the_same_whether_it_exists_or_not() {
    let mut network = network(&[service("up", None), service("down", Some(7))], &["service://other"]);
    listen(&mut network, 1, "up", None);
    for name in ["up", "down", "missing", "qyvold", "", "..", "UP", "up/7"] {
        for port in [None, Some(0), Some(7)] {
            assert_eq!(dial(&mut network, name, port).unwrap_err(), Error::ACCES, "{name} {port:?}");
        }
        assert_eq!(network.info(CLIENT, name), Err(Error::ACCES));
        assert_eq!(network.info(AppId(99), name), Err(Error::ACCES));
        assert_eq!(network.service(CLIENT, name, None), Err(Error::ACCES));
    }
    // A port that is not granted of a name that is: the same as well.
    grant(&mut network, &["service://up/1", "service://down/1", "service://missing/1"]);
    for name in ["up", "down", "missing"] {
        assert_eq!(dial(&mut network, name, Some(7)).unwrap_err(), Error::ACCES, "{name}");
        assert_eq!(network.service(CLIENT, name, Some(7)), Err(Error::ACCES), "{name}");
    }
}

#[test]
fn unknown_down_and_full_are_told_apart() {
    let mut network = network(&[service("log", Some(1))], &["service://log", "service://gone"]);
    assert_eq!(dial(&mut network, "gone", None).unwrap_err(), Error::NOENT);
    assert_eq!(dial(&mut network, "log", Some(2)).unwrap_err(), Error::NOENT);
    assert_eq!(dial(&mut network, "log", None).unwrap_err(), Error::CONNREFUSED);
    let seen = [("gone", None), ("log", Some(2)), ("log", None), ("log", Some(1))];
    let seen = seen.map(|(name, port)| network.service(CLIENT, name, port));
    assert_eq!(seen, [Err(Error::NOENT), Err(Error::NOENT), Ok(()), Ok(())]);
    let listener = listen(&mut network, 1, "log", Some(1));
    let waiting: Vec<_> = (0..BACKLOG_MAX).map(|_| dial(&mut network, "log", None).unwrap().end).collect();
    assert_eq!(dial(&mut network, "log", None).unwrap_err(), Error::CONNREFUSED);
    assert_eq!(
        network.deliver("log", None, &Budget::unlimited(), &mut Wakes::new()).unwrap_err(),
        Error::CONNREFUSED
    );
    // First come, first served.
    for (index, end) in waiting.iter().enumerate() {
        end.send(index.to_string().as_bytes()).unwrap();
    }
    for index in 0..BACKLOG_MAX {
        assert_eq!(receive(&network.accept(listener).unwrap()), Ok(index.to_string()));
    }
    assert_eq!(network.accept(listener).unwrap_err(), Error::AGAIN);
    assert!(dial(&mut network, "log", None).is_ok());
    let dial = Dial { app: CLIENT, name: "log", port: None, ways: Direction::Both, budget: &Budget::new(10) };
    assert_eq!(network.dial(&dial, &mut Wakes::new()).unwrap_err(), Error::NOMEM);
}

#[test]
fn a_dial_without_a_port_means_the_first_that_is_granted() {
    let services = [service("log", Some(9)), service("log", Some(3)), service("log", None)];
    let mut network = network(&services, &["service://log"]);
    for (instance, port) in [(1, Some(3)), (2, Some(9)), (3, None)] {
        let route = Route(port.map_or(0, u64::from));
        network.listen_elsewhere(LOGGER, InstanceId(instance), "log", port, route).unwrap();
    }
    let mut dialled = |grants: &[&str], port| {
        grant(&mut network, grants);
        dial(&mut network, "log", port).map(|dialled| dialled.bridge.unwrap().port)
    };
    assert_eq!(dialled(&["service://log"], None), Ok(Some(9)));
    assert_eq!(dialled(&["service://log"], Some(3)), Ok(Some(3)));
    assert_eq!(dialled(&["service://log/3"], None), Ok(Some(3)));
    assert_eq!(dialled(&["service://log/4"], None), Err(Error::NOENT));
    assert_eq!(dialled(&["service://log/4"], Some(4)), Err(Error::NOENT));
}

#[test]
fn replicas_take_turns_and_a_full_one_is_passed_over() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    let first = listen(&mut network, 1, "log", None);
    let second = listen(&mut network, 2, "log", None);
    network.listen_elsewhere(LOGGER, InstanceId(3), "log", None, Route(3)).unwrap();
    let ends: Vec<_> = (0..30).map(|_| dial(&mut network, "log", None).unwrap()).collect();
    let waiting =
        |network: &mut Network<Locked>, id| network.ready(id, None, &mut Wakes::new()).map(|r| r.bytes);
    assert_eq!(ends.iter().filter(|dialled| dialled.bridge.is_some()).count(), 10);
    assert_eq!([first, second].map(|id| waiting(&mut network, id)), [Some(10), Some(10)]);
    // Those of other processes reach nobody but those here.
    let end = network.deliver("log", None, &Budget::unlimited(), &mut Wakes::new()).unwrap();
    assert_eq!(waiting(&mut network, first).max(waiting(&mut network, second)), Some(11));
    drop(end);
    network.down(InstanceId(3), &mut Wakes::new());
    for (full, other) in [(first, second), (second, first)] {
        while waiting(&mut network, full) < Some(BACKLOG_MAX as u64) {
            dial(&mut network, "log", None).unwrap();
        }
        while network.accept(other).is_ok() {}
        for _ in 0..20 {
            dial(&mut network, "log", None).unwrap();
        }
        assert_eq!(waiting(&mut network, other), Some(20));
    }
}

#[test]
fn a_listener_that_was_closed_is_down_and_can_be_opened_again() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    let up = |network: &Network<Locked>| network.info(CLIENT, "log").unwrap().contains("\"up\":true");
    let listener = listen(&mut network, 1, "log", None);
    assert!(up(&network));
    network.close(listener, &mut Wakes::new());
    assert!(!up(&network));
    assert_ne!(listen(&mut network, 1, "log", None), listener);
    assert!(up(&network));
}

#[test]
fn names_belong_to_one_provider() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    let other = Provider::App(AppId(5));
    for name in SYSTEM_SERVICES {
        let reserved = ClaimError::Reserved(name.parse().unwrap());
        assert_eq!(network.claim(other, &[service(name, None)], ""), Err(reserved));
        network.claim(Provider::System, &[service(name, None)], "").unwrap();
    }
    let taken = network.claim(other, &[service("mine", None), service("log", None)], "").unwrap_err();
    assert_eq!(taken, ClaimError::Taken("log".parse().unwrap(), LOGGER));
    assert_eq!(taken.to_string(), "another app offers `log`; remove that app or offer another name");
    let twice = [service("mine", Some(1)), service("mine", Some(1))];
    assert_eq!(network.claim(other, &twice, ""), Err(ClaimError::Twice("mine".parse().unwrap(), Some(1))));
    // Nothing of a claim that failed is left.
    let budget = Budget::unlimited();
    assert_eq!(network.listen(other, InstanceId(9), "mine", None, &budget), Err(Error::NOENT));
    assert_eq!(network.listen(other, InstanceId(9), "log", None, &budget), Err(Error::NOENT));
    listen(&mut network, 1, "log", None);
    assert_eq!(network.listen(LOGGER, InstanceId(1), "log", None, &budget), Err(Error::EXIST));
    // A new version that still offers the port does not interrupt it; released, the name is free.
    network.claim(LOGGER, &[service("new", None), service("log", None)], "").unwrap();
    assert!(dial(&mut network, "log", None).is_ok());
    network.release(LOGGER);
    assert_eq!(dial(&mut network, "log", None).unwrap_err(), Error::NOENT);
    network.claim(other, &[service("log", None)], "").unwrap();
    assert_eq!(dial(&mut network, "log", None).unwrap_err(), Error::CONNREFUSED);
}

#[test]
fn a_listener_that_closes_resets_who_waits_and_wakes_all() {
    let services = [service("log", Some(1)), service("log", Some(2))];
    let mut network = network(&services, &["service://log"]);
    let (one, two) = (listen(&mut network, 1, "log", Some(1)), listen(&mut network, 1, "log", Some(2)));
    let accepting = bell();
    assert_eq!(network.ready(one, Some(&accepting.1), &mut Wakes::new()), None);
    let queued = dial(&mut network, "log", Some(1)).unwrap().end;
    let accepted = dial(&mut network, "log", Some(1)).unwrap().end;
    assert_eq!(accepting.0.rung(), 1);
    assert_eq!(
        network.ready(one, Some(&accepting.1), &mut Wakes::new()),
        Some(Readiness { bytes: 2, hangup: false })
    );
    // The queue is in order, so the second is accepted by taking both and leaving a third.
    let server = (network.accept(one).unwrap(), network.accept(one).unwrap());
    let third = dial(&mut network, "log", Some(1)).unwrap().end;
    let fourth = dial(&mut network, "log", Some(2)).unwrap().end;
    let (reading, waiting) = (bell(), bell());
    assert_eq!(third.ready(Interest::Read, Some(&reading.1)), None);
    let last = network.accept(two).unwrap();
    assert_eq!(network.ready(two, Some(&waiting.1), &mut Wakes::new()), None);
    let mut wakes = Wakes::new();
    network.down(InstanceId(1), &mut wakes);
    assert_eq!((reading.0.rung(), waiting.0.rung()), (0, 0), "a waker ran before its time");
    drop(wakes);
    assert_eq!((reading.0.rung(), waiting.0.rung()), (1, 1));
    assert_eq!(receive(&third), Err(Error::CONNRESET));
    for end in [&queued, &accepted, &fourth] {
        assert_eq!(receive(end), Err(Error::AGAIN), "what was accepted lives on");
    }
    assert_eq!(network.accept(one).unwrap_err(), Error::BADF);
    assert_eq!(network.ready(two, None, &mut Wakes::new()), Some(Readiness { bytes: 0, hangup: true }));
    assert_eq!(dial(&mut network, "log", Some(1)).unwrap_err(), Error::CONNREFUSED);
    drop((server, last));
}

#[test]
fn ways_that_were_not_asked_for_are_closed() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    let listener = listen(&mut network, 1, "log", None);
    let budget = Budget::unlimited();
    for (ways, receives, sends) in [(Direction::Receive, true, false), (Direction::Send, false, true)] {
        let dial = Dial { app: CLIENT, name: "log", port: None, ways, budget: &budget };
        let end = network.dial(&dial, &mut Wakes::new()).unwrap().end;
        let server = network.accept(listener).unwrap();
        assert_eq!(end.send(b"x"), if sends { Ok(1) } else { Err(Error::PIPE) });
        assert_eq!(server.send(b"y"), if receives { Ok(1) } else { Err(Error::PIPE) });
        assert_eq!(receive(&server).as_deref(), Ok(if sends { "x" } else { "" }));
        assert_eq!(receive(&end).as_deref(), Ok(if receives { "y" } else { "" }));
    }
}

/// How a host answers that a dial failed.
type Refusal = fn(Bridge<Locked>);

#[test]
fn a_dial_to_another_process_waits_for_its_answer() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    network.listen_elsewhere(LOGGER, InstanceId(1), "log", None, Route(42)).unwrap();
    let pending = |network: &mut Network<Locked>, ways| {
        let budget = Budget::unlimited();
        let dial = Dial { app: CLIENT, name: "log", port: None, ways, budget: &budget };
        let Dialled { end, bridge } = network.dial(&dial, &mut Wakes::new()).unwrap();
        let bells = [Interest::Read, Interest::Write].map(|interest| {
            let (bell, waker) = bell();
            assert_eq!(end.ready(interest, Some(&waker)), None);
            bell
        });
        assert_eq!(
            (end.connected(), end.send(b"early"), receive(&end)),
            (Err(Error::AGAIN), Err(Error::AGAIN), Err(Error::AGAIN))
        );
        (end, bridge.unwrap(), move || bells.each_ref().map(|bell| bell.rung()))
    };
    for ways in [Direction::Both, Direction::Send, Direction::Receive] {
        let (end, bridge, rung) = pending(&mut network, ways);
        assert_eq!((bridge.route, bridge.port, rung()), (Route(42), None, [0, 0]));
        let far = bridge.establish();
        assert_eq!((end.connected(), rung()), (Ok(()), [1, 1]));
        if ways.sends() {
            end.send(b"hello").unwrap();
            assert_eq!(receive(&far).as_deref(), Ok("hello"));
        } else {
            assert_eq!(end.send(b"x"), Err(Error::PIPE));
        }
    }
    let refusals: [(Refusal, Error); 3] = [
        (drop, Error::CONNREFUSED),
        (|bridge| bridge.end.fail(Failure::Refused), Error::CONNREFUSED),
        (|bridge| bridge.end.fail(Failure::Reset), Error::CONNRESET),
    ];
    for (refusal, error) in refusals {
        let (end, bridge, rung) = pending(&mut network, Direction::Both);
        refusal(bridge);
        assert_eq!((end.connected(), end.send(b"x"), receive(&end)), (Err(error), Err(error), Err(error)));
        assert_eq!(rung(), [1, 1]);
    }
    let (end, bridge, rung) = pending(&mut network, Direction::Both);
    network.revoke(CLIENT, &mut Wakes::new());
    assert_eq!((end.connected(), rung()), (Err(Error::CONNABORTED), [1, 1]));
    assert_eq!(receive(&bridge.end), Err(Error::CONNABORTED));
}

#[test]
fn connections_that_were_closed_are_not_kept() {
    let mut network = network(&[service("log", None)], &["service://log"]);
    let listener = listen(&mut network, 1, "log", None);
    let budget = Budget::unlimited();
    let kept: Vec<_> = (0..50)
        .flat_map(|_| {
            let dial = Dial { app: CLIENT, name: "log", port: None, ways: Direction::Both, budget: &budget };
            (0..100).for_each(|_| {
                network.dial(&dial, &mut Wakes::new()).unwrap();
                network.accept(listener).unwrap();
            });
            let end = network.dial(&dial, &mut Wakes::new()).unwrap().end;
            network.accept(listener).unwrap();
            [end]
        })
        .collect();
    assert!(budget.used() / crate::CONNECTION_BYTES <= 64 + 2 * kept.len() as u64, "{}", budget.used());
    // Those that are kept are still taken back.
    network.revoke(CLIENT, &mut Wakes::new());
    assert!(kept.iter().all(|end| receive(end) == Err(Error::CONNABORTED)));
    drop(kept);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_shown_is_what_was_granted() {
    let services = [service("log", Some(9)), Service { proto: Protocol::Frames, ..service("log", Some(3)) }];
    let mut network = network(&services, &["service://log", "service://a", "service://zoo/1"]);
    let text = "\"quotes\" \\ \n\t\u{0} \u{7f} ñ \u{2028}";
    network.claim(LOGGER, &services, text).unwrap();
    listen(&mut network, 1, "log", Some(3));
    assert_eq!(network.services(CLIENT).map(ToString::to_string).collect::<Vec<_>>(), ["a", "log", "zoo"]);
    assert_eq!(network.services(AppId(99)).count(), 0);
    assert_eq!(network.info(CLIENT, "a"), Err(Error::NOENT));
    let info = |network: &Network<Locked>| {
        let info = network.info(CLIENT, "log").unwrap();
        assert_eq!(info.find('\n'), Some(info.len() - 1), "one line");
        serde_json::from_str::<serde_json::Value>(&info).unwrap()
    };
    let all = json!({
        "name": "log", "description": text, "up": true, "protocol": "lines",
        "ports": [
            { "port": 9, "protocol": "lines", "up": false },
            { "port": 3, "protocol": "frames", "up": true },
        ],
    });
    assert_eq!(info(&network), all);
    grant(&mut network, &["service://log/9"]);
    let one = json!({
        "name": "log", "description": text, "up": false, "protocol": "lines",
        "ports": [{ "port": 9, "protocol": "lines", "up": false }],
    });
    assert_eq!(info(&network), one);
    network.claim(LOGGER, &[service("log", None)], "").unwrap();
    grant(&mut network, &["service://log"]);
    assert_eq!(info(&network)["ports"], json!([{ "port": null, "protocol": "lines", "up": false }]));
}
