//! Apps that talk, through the SDK and real workers.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::guests::{Target, svc};
use crate::sandbox::wait_until;

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
