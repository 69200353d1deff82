//! The life of an app by the API.

use serde_json::json;

use crate::bench::{Bench, SLEEPER};

#[test]
fn an_app_is_deployed_runs_prints_stops_starts_and_is_removed() {
    let bench = Bench::new();
    let deployed = bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200).json();
    assert_eq!(deployed["apps"][0]["revision"], 1);
    assert_eq!(deployed["apps"][0]["changed"], true);
    bench.wait_for("sleeper", "ready");
    let apps = bench.get("/v1/apps").expect(200).json();
    assert_eq!((&apps[0]["app"], &apps[0]["ready"]), (&json!("sleeper"), &json!(1)));
    let logs = bench.get("/v1/apps/sleeper/logs?tail=1").expect(200).json();
    assert_eq!((&logs["text"], &logs["stream"]), (&json!("awake"), &json!("stdout")));

    let again = bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200).json();
    assert_eq!((&again["apps"][0]["revision"], &again["apps"][0]["changed"]), (&json!(1), &json!(false)));

    bench.post("/v1/apps/sleeper/stop", &json!({})).expect(200);
    bench.wait_for("sleeper", "stopped");
    bench.post("/v1/apps/sleeper/start", &json!({})).expect(200);
    bench.wait_for("sleeper", "ready");
    bench.ask("DELETE", "/v1/apps/sleeper?volumes=true", b"").expect(200);
    bench.get("/v1/apps/sleeper").expect(404);
    assert_eq!(bench.post("/v1/images/prune", &json!({})).expect(200).json()["images"], 1);
    let metrics = bench.get("/metrics").expect(200).body;
    assert!(metrics.contains("qyvol_apps 0\n"), "{metrics}");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason_and_nothing_is_deployed() {
    let bench = Bench::new();
    let refused = |answer: crate::bench::Answer, status: u16, words: &str| {
        let problem = answer.expect(status).body;
        assert!(problem.contains(words), "`{words}` is missing in {problem}");
    };
    let hash = bench.upload("plain", "type: service\n", SLEEPER);
    let deploy = |apps: serde_json::Value| bench.post("/v1/deploy", &json!({ "apps": apps }));
    refused(deploy(json!([{ "bundle": hash }])), 422, "--allow-unsigned");
    let one = json!({ "bundle": hash, "allow_unsigned": true });
    refused(deploy(json!([one, one])), 400, "twice");
    refused(deploy(json!([{ "bundle": "00".repeat(32), "allow_unsigned": true }])), 404, "bundle");
    refused(bench.deploy("web", "type: http\n", SLEEPER), 422, "listens at no address");
    let dials = "type: service\npermissions: { net: { connect: ['service://other'] } }\n";
    refused(bench.deploy("dialler", dials, SLEEPER), 422, "--grant service://other");
    refused(bench.deploy("secretive", "type: service\nenv_from: [KEY]\n", SLEEPER), 422, "--grant env:KEY");
    refused(bench.post("/v1/deploy", &json!({ "apps": [] })), 400, "1 to");
    refused(bench.post("/v1/deploy", &json!({ "app": 1 })), 400, "unknown field");
    refused(bench.get("/v1/nothing"), 404, "openapi");
    refused(bench.ask("PUT", &format!("/v1/blobs/{}", "11".repeat(32)), b"no bundle"), 400, "bundle");
    refused(bench.get("/v1/apps/No"), 400, "name");
    refused(bench.get("/v1/apps?x"), 200, "[]");
    refused(bench.post("/v1/apps/nobody/stop", &json!({})), 404, "no app");
    assert_eq!(bench.get("/v1/apps").expect(200).body, "[]");

    // Two apps that offer one name: all or none.
    let offers = "type: service\nservices: [{ name: echo }]\n";
    let (a, b) = (bench.upload("aaa", offers, SLEEPER), bench.upload("bbb", offers, SLEEPER));
    let both = json!([{ "bundle": a, "allow_unsigned": true }, { "bundle": b, "allow_unsigned": true }]);
    refused(deploy(both), 409, "service://echo");
    assert_eq!(bench.get("/v1/apps").expect(200).body, "[]");
}

#[test]
fn secrets_reach_only_apps_that_were_granted_them() {
    let bench = Bench::new();
    let hash = bench.upload("keyed", "type: service\nenv_from: [KEY]\n", SLEEPER);
    let grant =
        json!({ "apps": [{ "bundle": hash, "allow_unsigned": true, "grants": { "allow": ["env:KEY"] } }] });
    let missing = bench.post("/v1/deploy", &grant).expect(422).body;
    assert!(missing.contains("qyvol secret set KEY"), "{missing}");
    bench.ask("PUT", "/v1/secrets/KEY", b"hunter2").expect(204);
    bench.post("/v1/deploy", &grant).expect(200);
    bench.wait_for("keyed", "ready");
    let secrets = bench.get("/v1/secrets").expect(200);
    assert_eq!(secrets.json()[0]["used_by"], json!(["keyed"]));
    assert!(!secrets.body.contains("hunter2"));
    assert!(!bench.get("/v1/apps/keyed").expect(200).body.contains("hunter2"));
    bench.ask("DELETE", "/v1/secrets/KEY", b"").expect(409);
}

#[test]
fn a_command_runs_once_and_rests_as_done() {
    let mut bench = Bench::new();
    bench.deploy("once", "", &crate::sandbox::exits(0)).expect(200);
    bench.wait_for("once", "done");
    bench.deploy("fails", "", &crate::sandbox::exits(3)).expect(200);
    bench.wait_for("fails", "failed");
    let detail = bench.get("/v1/apps/fails").expect(200).json();
    assert_eq!(detail["instances"][0]["last_end"]["code"], 3);
    // It is not run again by the next daemon.
    bench.crash();
    bench.start();
    assert_eq!((bench.state("once"), bench.state("fails")), ("done".to_owned(), "failed".to_owned()));
}

#[test]
fn a_new_revision_takes_the_place_of_the_old_one_and_back() {
    let bench = Bench::new();
    bench.deploy("app", "type: service\nversion: 1.1.0\n", SLEEPER).expect(200);
    bench.wait_for("app", "ready");
    let lower = bench.deploy("app", "type: service\nversion: 1.0.0\n", SLEEPER).expect(422).body;
    assert!(lower.contains("--force"), "{lower}");
    bench.deploy("app", "type: service\nversion: 1.2.0\n", SLEEPER).expect(200);
    let version = || bench.get("/v1/apps/app").expect(200).json()["summary"]["version"].clone();
    assert_eq!(version(), "1.2.0");
    bench.wait_for("app", "ready");
    let back = bench.post("/v1/apps/app/rollback", &json!({})).expect(200).json();
    assert_eq!((&back["apps"][0]["revision"], version()), (&json!(3), json!("1.1.0")));
    bench.wait_for("app", "ready");
    bench.post("/v1/apps/app/rollback", &json!({ "revision": 77 })).expect(404);
    bench.post("/v1/apps/app/scale", &json!({ "replicas": 5 })).expect(422);
}

#[test]
fn an_address_is_bound_for_one_app_that_was_granted_it() {
    let bench = Bench::new();
    // Of this process alone: no other test or program takes it.
    let process = std::process::id();
    let address = format!("127.9.{}.{}:7008", process % 250 + 1, process / 250 % 250 + 1);
    let listens = format!("type: service\npermissions: {{ net: {{ listen: ['tcp://{address}'] }} }}\n");
    let refused = bench.deploy("front", &listens, SLEEPER).expect(422).body;
    assert!(refused.contains(&format!("--grant listen:tcp://{address}")), "{refused}");
    let grants = json!({ "allow": [format!("listen:tcp://{address}")] });
    let app = |name: &str| json!({ "bundle": bench.upload(name, &listens, SLEEPER), "allow_unsigned": true, "grants": grants });
    bench.post("/v1/deploy", &json!({ "apps": [app("front")] })).expect(200);
    bench.wait_for("front", "ready");
    std::net::TcpStream::connect(&address).unwrap();
    let net = bench.get("/v1/net").expect(200).json();
    assert_eq!(net[0]["address"], format!("tcp://{address}"));
    let second = bench.post("/v1/deploy", &json!({ "apps": [app("second")] })).expect(409).body;
    assert!(second.contains("both listen"), "{second}");
    bench.ask("DELETE", "/v1/apps/front", b"").expect(200);
    crate::sandbox::wait_until("the address is free", || std::net::TcpListener::bind(&address).is_ok());
}

#[test]
fn events_resume_where_a_client_left_off_and_logs_are_followed_until_it_goes() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let bench = Bench::new();
    let event =
        bench.deploy("sleeper", "type: service\n", SLEEPER).expect(200).json()["event"].as_u64().unwrap();
    bench.wait_for("sleeper", "ready");
    let open = |request: String| {
        let socket = std::os::unix::net::UnixStream::connect(bench.sandbox.path("run/qyvold.sock")).unwrap();
        socket.set_read_timeout(Some(crate::sandbox::PATIENCE)).unwrap();
        (&socket).write_all(request.as_bytes()).unwrap();
        BufReader::new(socket).lines().map_while(Result::ok)
    };
    // What happened before is told first, each under its number.
    let from = format!("GET /v1/events?app=sleeper HTTP/1.0\r\nlast-event-id: {event}\r\n\r\n");
    let mut ids: Vec<u64> = Vec::new();
    for line in open(from) {
        if let Some(id) = line.strip_prefix("id: ") {
            ids.push(id.parse().unwrap());
        }
        if line.contains("\"state\":\"ready\"") {
            break;
        }
    }
    // The first number is where it begins, and no event.
    assert!(ids.first() == Some(&event) && ids[1] > event, "{ids:?}");
    assert!(ids.is_sorted() && ids.len() >= 4, "{ids:?}");
    // And what happens later, as it does.
    let mut later = open(format!("GET /v1/events?since={} HTTP/1.0\r\n\r\n", ids[ids.len() - 1]));
    let mut log = open("GET /v1/apps/sleeper/logs?follow=true HTTP/1.0\r\n\r\n".to_owned());
    assert!(log.any(|line| line.contains("awake")));
    bench.post("/v1/apps/sleeper/restart", &json!({})).expect(200);
    assert!(later.any(|line| line.contains("\"state\":\"stopping\"")));
    assert!(log.any(|line| line.contains("awake")), "what the next instance prints is followed too");
}

#[test]
fn an_app_that_refuses_to_stop_is_killed_after_its_grace() {
    let bench = Bench::new();
    let loops = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;
    let manifest = "type: service\nservices: [{ name: stubborn }]\nstop_grace: 300ms\n";
    bench.deploy("stubborn", manifest, loops).expect(200);
    bench.wait_for("stubborn", "ready");
    bench.post("/v1/apps/stubborn/stop", &json!({})).expect(200);
    bench.wait_for("stubborn", "stopped");
}
