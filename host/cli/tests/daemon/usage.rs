//! What `stats`, `top` and Prometheus are told is true.

use serde_json::Value;

use crate::bench::{Bench, SLEEPER};
use crate::guests::{Target, svc};
use crate::sandbox::wait_until;

/// A number of one instance, by the app and the key.
fn used(bench: &Bench, app: &str, key: &str) -> Vec<u64> {
    let rows = bench.get("/v1/usage").expect(200).json();
    let of_app = |row: &&Value| row["instance"]["app"] == app;
    rows.as_array().unwrap().iter().filter(of_app).map(|row| row[key].as_u64().unwrap()).collect()
}

#[test]
fn open_descriptors_and_connections_are_counted() {
    let bench = Bench::new();
    for (server, client, base) in [
        // The standard streams, the closed root and the listener; a component has neither of the latter as descriptors.
        (Target::Preview1, Target::Preview2, 5),
        (Target::Preview2, Target::Preview1, 3),
    ] {
        let serves = "type: service\nservices: [{ name: echo }]\nargs: [echo, lines, \"0\"]\n";
        bench.deploy_wasm("server", serves, &svc("svc_echo_server", server)).expect(200);
        bench.wait_for("server", "ready");
        wait_until("it listens", || used(&bench, "server", "fds") == [base]);
        assert_eq!(used(&bench, "server", "connections"), [0]);

        let holds = "type: service\npermissions: { net: { connect: [\"service://echo\"] } }\n\
                     args: [\"service://echo\", \"3\", \"10\"]\n";
        let grants = ["service://echo"];
        bench.deploy_granted("client", holds, &svc("svc_hold", client), &grants).expect(200);
        wait_until("it holds three", || used(&bench, "client", "connections") == [3]);
        wait_until("all were accepted", || used(&bench, "server", "connections") == [3]);
        assert_eq!(used(&bench, "server", "fds"), [base + 3]);
        assert!(used(&bench, "client", "fds")[0] >= 6);
        let metrics = bench.get("/metrics").expect(200).body;
        assert!(metrics.contains("qyvol_connections{app=\"client\",slot=\"0\"} 3\n"), "{metrics}");

        bench.ask("DELETE", "/v1/apps/client", b"").expect(200);
        wait_until("nothing is left open", || used(&bench, "server", "connections") == [0]);
        assert_eq!(used(&bench, "server", "fds"), [base]);
        bench.ask("DELETE", "/v1/apps/server", b"").expect(200);
    }
}

#[test]
fn every_instance_that_runs_is_listed() {
    let bench = Bench::new();
    bench.deploy("many", "type: service\nlimits: { instances: 3 }\n", SLEEPER).expect(200);
    bench.post("/v1/apps/many/scale", &serde_json::json!({ "replicas": 3 })).expect(200);
    wait_until("three run", || bench.get("/v1/apps/many").json()["summary"]["ready"] == 3);
    assert_eq!(used(&bench, "many", "fds"), [4, 4, 4]);
    assert!(used(&bench, "many", "memory").iter().all(|bytes| *bytes >= 64 << 10));
}
