//! Apps that talk, through the SDK and real workers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::guests::{Target, svc};
use crate::sandbox::{PATIENCE, wait_until};

const BOTH: [Target; 2] = [Target::Preview1, Target::Preview2];

/// Asks again and again what is ready, and never waits.
const SPINS: &str = r#"(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 216) (i32.const 1))
    (loop $again
      (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 20)))
      (drop (call $yield))
      (br $again))))"#;

impl Bench {
    /// A service that sends back what comes.
    fn serve(&self, app: &str, service: &str, proto: &str, more: &str, target: Target) {
        let manifest = format!(
            "type: service\nservices: [{{ name: {service}, proto: {proto} }}]\nargs: [{service}, {proto}, \"0\"]\n{more}"
        );
        self.deploy_wasm(app, &manifest, &svc("svc_echo_server", target)).expect(200);
        self.wait_for(app, "ready");
    }

    /// Runs a command that dials, to its end.
    #[track_caller]
    fn dial(&self, guest: &str, target: Target, service: &str, arguments: &[&str], more: &str) -> String {
        let address = format!("service://{service}");
        let manifest = format!(
            "permissions: {{ net: {{ connect: [\"{address}\"] }} }}\nargs: {}\n{more}",
            json!([&[address.as_str()], arguments].concat())
        );
        let answer = self.deploy_granted("client", &manifest, &svc(guest, target), &[&address]);
        answer.expect(200);
        self.wait_for("client", "done");
        let log = self.get("/v1/apps/client/logs").expect(200).body;
        self.ask("DELETE", "/v1/apps/client", b"").expect(200);
        log
    }

    /// How many connections each instance of an app holds.
    fn connections(&self, app: &str) -> Vec<u64> {
        let rows = self.get("/v1/usage").expect(200).json();
        let of_app = |row: &&Value| row["instance"]["app"] == app;
        rows.as_array()
            .unwrap()
            .iter()
            .filter(of_app)
            .map(|row| row["connections"].as_u64().unwrap())
            .collect()
    }
}

#[test]
fn modules_and_components_speak_all_protocols_with_each_other() {
    let bench = Bench::new();
    for server in BOTH {
        for proto in ["lines", "frames", "stream"] {
            // By name: a component knows the protocol from what describes the service, as a module does.
            bench.serve("server", proto, proto, "", server);
            for client in BOTH {
                let words = bench.dial("svc_dial", client, proto, &[], "");
                let known = match proto {
                    "lines" => "Lines",
                    "frames" => "Frames",
                    _ => "Stream",
                };
                assert!(
                    words.contains(&format!("service://{proto} {known}")),
                    "{client:?} to {server:?}: {words}"
                );
                let (guest, arguments): (_, &[&str]) = match proto {
                    "stream" => ("svc_stream_client", &["300000"]),
                    _ => ("svc_echo_client", &["20", "2000"]),
                };
                let words = bench.dial(guest, client, proto, arguments, "");
                assert!(words.contains("came back"), "{client:?} to {server:?}: {words}");
            }
            bench.ask("DELETE", "/v1/apps/server", b"").expect(200);
        }
    }
}

#[test]
fn replicas_take_turns() {
    let bench = Bench::new();
    for isolation in ["shared", "process"] {
        let more = format!("isolation: {isolation}\nlimits: {{ instances: 3 }}\n");
        bench.serve("server", "echo", "lines", &more, Target::Preview1);
        bench.post("/v1/apps/server/scale", &json!({ "replicas": 3 })).expect(200);
        wait_until("three serve", || {
            bench.get("/v1/net").expect(200).json()[0]["up"] == 3 && bench.connections("server").len() == 3
        });
        let holds = "type: service\npermissions: { net: { connect: [\"service://echo\"] } }\n\
                     args: [\"service://echo\", \"6\", \"10\"]\n";
        bench
            .deploy_granted("client", holds, &svc("svc_hold", Target::Preview2), &["service://echo"])
            .expect(200);
        wait_until("each has two of six", || bench.connections("server") == [2, 2, 2]);
        for app in ["client", "server"] {
            bench.ask("DELETE", &format!("/v1/apps/{app}"), b"").expect(200);
        }
    }
}

#[test]
fn apps_that_poll_without_waiting_starve_nobody() {
    let bench = Bench::new();
    bench.deploy("spins", "type: service\nlimits: { instances: 8 }\n", SPINS).expect(200);
    bench.post("/v1/apps/spins/scale", &json!({ "replicas": 8 })).expect(200);
    wait_until("all spin", || bench.get("/v1/apps/spins").json()["summary"]["ready"] == 8);
    bench.serve("server", "echo", "lines", "", Target::Preview1);
    let words = bench.dial("svc_echo_client", Target::Preview2, "echo", &["20", "100"], "");
    assert!(words.contains("40 messages came back"), "{words}");
    bench.ask("DELETE", "/v1/apps/spins", b"").expect(200);
}

#[test]
fn apps_of_different_workers_talk_and_those_that_poll_are_served() {
    let bench = Bench::new();
    for (server, client) in BOTH.into_iter().flat_map(|server| BOTH.map(|client| (server, client))) {
        bench.serve("echo", "echo", "lines", "isolation: process\n", server);
        let words = bench.dial("svc_echo_client", client, "echo", &["50", "500"], "");
        assert!(words.contains("100 messages came back"), "{words}");
        for isolation in ["shared", "process"] {
            let mixes = format!(
                "type: service\nrestart: never\nisolation: {isolation}\nservices: [{{ name: mix }}]\n\
                 permissions: {{ net: {{ connect: [\"service://echo\"] }} }}\nargs: [\"service://echo\", mix]\n"
            );
            let mixer = svc("svc_poll_mix", client);
            bench.deploy_granted("mixer", &mixes, &mixer, &["service://echo"]).expect(200);
            // It dials once: before the other one listens, which takes a new worker some time, it would be refused.
            let knocks = "type: service\nrestart: never\ndepends_on: [mixer]\n\
                          permissions: { net: { connect: [\"service://mix\"] } }\n\
                          args: [\"service://mix\", \"1\", \"1\"]\n";
            let knocker = svc("svc_hold", Target::Preview1);
            bench.deploy_granted("knocker", knocks, &knocker, &["service://mix"]).expect(200);
            bench.wait_for("mixer", "done");
            let words = bench.get("/v1/apps/mixer/logs").expect(200).body;
            assert!(words.contains("all were served"), "{words}");
            for app in ["mixer", "knocker"] {
                bench.ask("DELETE", &format!("/v1/apps/{app}"), b"").expect(200);
            }
        }
        bench.ask("DELETE", "/v1/apps/echo", b"").expect(200);
    }
}

#[test]
fn replicas_share_an_address_of_the_host() {
    let bench = Bench::new();
    // Of this process alone: no other test or program takes it.
    let process = std::process::id();
    let address = format!("127.5.{}.{}:7011", process % 250 + 1, process / 250 % 250 + 1);
    let allow = format!("listen:tcp://{address}");
    for (isolation, target) in ["shared", "process"].into_iter().zip(BOTH) {
        let listens = format!(
            "type: service\nisolation: {isolation}\nlimits: {{ instances: 3 }}\n\
             permissions: {{ net: {{ listen: ['tcp://{address}'] }} }}\nargs: ['tcp://{address}', stream, \"0\"]\n"
        );
        bench.deploy_granted("front", &listens, &svc("svc_echo_server", target), &[&allow]).expect(200);
        bench.post("/v1/apps/front/scale", &json!({ "replicas": 3 })).expect(200);
        wait_until("three listen", || bench.get("/v1/apps/front").json()["summary"]["ready"] == 3);
        let talk = |round: u32| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(stream, "hello {round:3}").unwrap();
            let mut came = [0; 9];
            stream.read_exact(&mut came).unwrap();
            assert_eq!(came, format!("hello {round:3}").as_bytes());
            stream
        };
        let held: Vec<_> = (0..60).map(talk).collect();
        wait_until("each has twenty of sixty", || bench.connections("front") == [20, 20, 20]);
        // Two of them share what comes from now on, and what the third had ends with it.
        bench.post("/v1/apps/front/scale", &json!({ "replicas": 2 })).expect(200);
        wait_until("two are left", || bench.connections("front") == [20, 20]);
        let more: Vec<_> = (60..80).map(talk).collect();
        wait_until("each has ten more", || bench.connections("front") == [30, 30]);
        drop((held, more));
        bench.ask("DELETE", "/v1/apps/front", b"").expect(200);
        wait_until("nothing is left", || bench.get("/v1/apps/front").status == 404);
    }
}
