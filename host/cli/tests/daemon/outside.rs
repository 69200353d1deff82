//! Deployed apps that reach out.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;

use crate::bench::Bench;
use crate::dialler::dialler;
use crate::sandbox::wait_until;

#[test]
fn a_deployed_app_connects_to_what_was_granted_and_its_refusals_are_told() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = format!("tcp://{address}");
    let net = format!("permissions: {{ net: {{ connect: [\"{url}\"] }} }}\n");
    let deploy = |name: &str, target: &str, grants: serde_json::Value| {
        let hash = bench.upload(name, &net, &dialler(target, 4));
        let app = json!({ "bundle": hash, "allow_unsigned": true, "grants": { "allow": grants } });
        bench.post("/v1/deploy", &json!({ "apps": [app] }))
    };
    let refused = deploy("good", &address, json!([])).expect(422).body;
    assert!(refused.contains(&format!("--grant {url}")), "{refused}");
    deploy("good", &address, json!([url])).expect(200);
    let (mut peer, _) = listener.accept().unwrap();
    let mut said = [0; 6];
    peer.read_exact(&mut said).unwrap();
    peer.write_all(b"world\n").unwrap();
    bench.wait_for("good", "done");
    let logs = bench.get("/v1/apps/good/logs?tail=1").expect(200).json();
    assert_eq!(logs["text"], "world");

    deploy("bad", "127.0.0.1:1", json!([url])).expect(200);
    wait_until("the refusal is told", || {
        let told = bench.get("/v1/apps/bad").expect(200).body;
        told.contains(r#"[\"tcp://127.0.0.1:1\"]"#)
    });
}
