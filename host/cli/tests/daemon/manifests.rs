//! The folder whose manifests the daemon deploys by itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::wait_until;

const FOLDER: &str = "config/qyvol.d";

/// Puts a manifest there as an editor does: written beside it, and renamed.
fn put(bench: &Bench, name: &str, text: &str) {
    let new = bench.sandbox.write(&format!("{FOLDER}/.{name}.new"), text);
    fs::rename(new, bench.sandbox.path(&format!("{FOLDER}/{name}.qyv"))).unwrap();
}

fn service(name: &str, more: &str) -> String {
    format!("name: {name}\nentrypoint: main.wasm\ntype: service\n{more}")
}

fn manifests(bench: &Bench) -> Value {
    bench.get("/v1/manifests").expect(200).json()
}

/// Waits until what is wrong with a file says `words`, or nothing is.
#[track_caller]
fn wait_for_problem(bench: &Bench, file: &str, words: Option<&str>) {
    let mut last = Value::Null;
    wait_until(&format!("{file}: {words:?}"), || {
        let all = manifests(bench);
        let files = all["files"].as_array().unwrap();
        let Some(found) = files.iter().find(|found| found["file"].as_str().unwrap().ends_with(file)) else {
            return false;
        };
        last = found.clone();
        let text = format!("{} {}", last["problem"], last["hint"]);
        words.map_or(found["problem"].is_null(), |words| text.contains(words))
    });
}

#[test]
fn files_are_deployed_as_they_come_change_and_go() {
    let mut bench = Bench::new();
    // The folder may come later than the daemon.
    bench.sandbox.module(&format!("{FOLDER}/main.wasm"), SLEEPER);
    put(&bench, "one", &service("one", "version: 1.0.0\npermissions: { fs: read-write }\n"));
    bench.wait_for("one", "ready");
    let summary = |app: &str| bench.get(&format!("/v1/apps/{app}")).expect(200).json()["summary"].clone();
    assert_eq!((&summary("one")["version"], &summary("one")["revision"]), (&json!("1.0.0"), &json!(1)));
    let inspected = bench.sandbox.run(&["inspect", "one"]).expect(0, &[]).stdout;
    assert!(inspected.contains("qyvol.d/one.qyv"), "{inspected}");
    // Two that need each other, whichever is read first.
    put(&bench, "dials", &service("dials", "permissions: { net: { connect: ['service://echo'] } }\n"));
    wait_for_problem(&bench, "dials.qyv", Some("--grant service://echo"));
    put(&bench, "offers", &service("offers", "services: [{ name: echo }]\n"));
    bench.wait_for("offers", "ready");
    put(
        &bench,
        "dials",
        &service("dials", "version: 0.0.1\npermissions: { net: { connect: ['service://echo'] } }\n"),
    );
    bench.wait_for("dials", "ready");

    put(&bench, "one", &service("one", "version: 1.1.0\npermissions: { fs: read-write }\n"));
    wait_until("the change is deployed", || summary("one")["version"] == "1.1.0");
    bench.wait_for("one", "ready");
    // A mistake is told with its line, and what runs goes on.
    put(&bench, "one", "name: one\nentrypoint: main.wasm\ntype: servant\n");
    wait_for_problem(&bench, "one.qyv", Some("one.qyv:3"));
    assert_eq!((bench.state("one"), &summary("one")["version"]), ("ready".to_owned(), &json!("1.1.0")));
    let status = bench.sandbox.run(&["daemon", "status"]).expect(0, &[]).stdout;
    assert!(status.contains("one.qyv` is not deployed") && status.contains("servant"), "{status}");
    bench.sandbox.run(&["ps"]).expect(0, &["qyvol daemon status"]);
    put(&bench, "one", &service("one", "version: 1.1.0\npermissions: { fs: read-write }\n"));
    wait_for_problem(&bench, "one.qyv", None);

    // What a person stopped stays so over the next daemon; what went while none ran is removed by it.
    bench.post("/v1/apps/one/stop", &json!({})).expect(200);
    bench.wait_for("one", "stopped");
    let revision = summary("one")["revision"].clone();
    bench.crash();
    fs::remove_file(bench.sandbox.path(&format!("{FOLDER}/offers.qyv"))).unwrap();
    bench.start();
    wait_until("the app is removed", || bench.get("/v1/apps/offers").status == 404);
    wait_for_problem(&bench, "one.qyv", None);
    let after = bench.get("/v1/apps/one").expect(200).json()["summary"].clone();
    assert_eq!((&after["state"], &after["revision"]), (&json!("stopped"), &revision));

    fs::remove_file(bench.sandbox.path(&format!("{FOLDER}/one.qyv"))).unwrap();
    wait_until("the app is removed", || bench.get("/v1/apps/one").status == 404);
    assert!(bench.sandbox.path("state/volumes/one").is_dir(), "its volume stays");
    let events = bench.sandbox.path("log");
    let log = fs::read_to_string(events).unwrap();
    assert!(log.contains("one.qyv`: it is gone") && log.contains("one.qyv:3"), "{log}");
}

#[test]
fn what_others_may_write_or_nobody_granted_is_not_deployed() {
    let bench = Bench::new();
    bench.sandbox.module(&format!("{FOLDER}/main.wasm"), SLEEPER);
    bench.sandbox.module(&format!("{FOLDER}/open.wasm"), SLEEPER);
    let path = |name: &str| bench.sandbox.path(&format!("{FOLDER}/{name}"));
    let mode = |name: &str, mode| fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    put(&bench, "loose", &service("loose", ""));
    mode("loose.qyv", 0o666);
    wait_for_problem(&bench, "loose.qyv", Some("chmod go-w"));
    mode("open.wasm", 0o666);
    put(&bench, "packs", &service("packs", "").replace("main.wasm", "open.wasm"));
    wait_for_problem(&bench, "packs.qyv", Some("open.wasm"));
    mode("loose.qyv", 0o644);
    bench.wait_for("loose", "ready");

    // One app has one file.
    put(&bench, "twin", &service("loose", ""));
    wait_for_problem(&bench, "twin.qyv", Some("that of"));

    // What reaches out is granted by hand, once, or by the policy.
    let asks = "env_from: [KEY]\n";
    bench.ask("PUT", "/v1/secrets/KEY", b"value").expect(204);
    put(&bench, "asks", &service("asks", asks));
    wait_for_problem(&bench, "asks.qyv", Some("--grant env:KEY"));
    let file = path("asks.qyv");
    bench.sandbox.run(&["deploy", file.to_str().unwrap(), "--grant", "env:KEY"]).expect(0, &[]);
    wait_for_problem(&bench, "asks.qyv", None);
    put(&bench, "asks", &service("asks", &format!("{asks}version: 2.0.0\n")));
    wait_until("the grant holds for the next version", || {
        bench.get("/v1/apps/asks").json()["summary"]["version"] == "2.0.0"
    });
    bench
        .sandbox
        .write("config/policy.yaml", "policy: 1\nallow: [all]\napps: [{ name: given, grant: [env:KEY] }]\n");
    put(&bench, "given", &service("given", asks));
    bench.wait_for("given", "ready");
    bench.sandbox.write("elsewhere/main.wasm", wat::parse_str(SLEEPER).unwrap());
    bench.sandbox.write("elsewhere/given.qyv", service("given", asks).replace("given", "taken"));
    bench
        .sandbox
        .write("config/policy.yaml", "policy: 1\nallow: [all]\napps: [{ name: '*', grant: [env:KEY] }]\n");
    bench.sandbox.run(&["deploy", "elsewhere/given.qyv"]).expect(126, &["--grant env:KEY"]);

    // A folder that others may write is not believed, and nothing goes with it.
    fs::set_permissions(bench.sandbox.path(FOLDER), Permissions::from_mode(0o777)).unwrap();
    fs::remove_file(path("loose.qyv")).unwrap();
    wait_until("the folder is not believed", || {
        manifests(&bench)["problem"].as_str().is_some_and(|problem| problem.contains("chmod go-w"))
    });
    assert_eq!(bench.state("loose"), "ready");
}
