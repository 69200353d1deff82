//! What goes wrong around apps, and what is done about it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::{Ran, exits, wait_until};

/// Computes for ever, and hears nothing.
const DEAF: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

#[test]
fn an_app_that_refuses_to_stop_is_killed_after_its_grace() {
    let bench = Bench::new();
    let grace = "type: service\nstop_grace: 1s\n";
    // One that serves is asked to stop by the end of its listener; one that does not cannot be asked.
    bench.deploy("serves", &format!("{grace}services: [{{ name: deaf }}]\n"), DEAF).expect(200);
    bench.deploy("plain", grace, DEAF).expect(200);
    for (app, asked) in [("serves", true), ("plain", false)] {
        bench.wait_for(app, "ready");
        let start = Instant::now();
        bench.post(&format!("/v1/apps/{app}/stop"), &json!({})).expect(200);
        bench.wait_for(app, "stopped");
        let detail = bench.get(&format!("/v1/apps/{app}")).expect(200).json();
        let cause = &detail["instances"][0]["last_end"]["cause"];
        assert_eq!(cause, if asked { "killed" } else { "stopped" });
        assert!(!asked || start.elapsed() >= Duration::from_secs(1), "it had its grace");
    }
}

#[test]
fn a_crash_loop_is_slowed_and_shown_until_it_is_mended() {
    let bench = Bench::new();
    bench.deploy("looping", "type: service\n", &exits(3)).expect(200);
    bench.wait_for("looping", "crash-looping");
    let app = &bench.get("/v1/apps").expect(200).json()[0];
    assert!(app["restarts"].as_u64() >= Some(5), "{app}");
    assert!(app["status"].as_str().unwrap().contains("next in"), "{app}");
    let detail = bench.get("/v1/apps/looping").expect(200).json();
    assert_eq!(detail["instances"][0]["last_end"]["code"], 3);
    let shown = Ran::of(bench.command().arg("ps").output().unwrap()).expect(0, &[]).stdout;
    assert!(shown.contains("crash-looping"), "{shown}");
    let metrics = bench.get("/metrics").expect(200).body;
    assert!(metrics.contains("qyvol_app_restarts_total{app=\"looping\"} "), "{metrics}");
    // The next daemon has not forgotten that it failed, and a deploy that works ends it at once.
    bench.deploy("looping", "type: service\nversion: 1.0.0\n", SLEEPER).expect(200);
    bench.wait_for("looping", "ready");
    assert_eq!(bench.get("/v1/apps").expect(200).json()[0]["restarts"], 0);
}

#[test]
fn a_rollback_to_a_revision_that_fails_leaves_what_works_in_place() {
    let bench = Bench::new();
    let checked = "type: service\nservices: [{ name: checked }]\nhealth: { service: checked, interval: 1s, timeout: 1s }\n";
    let accepts = r#"(module
      (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start") (loop $next (br_if $next (i32.eqz (call $accept (i32.const 4) (i32.const 0) (i32.const 8)))))))"#;
    bench.deploy("app", &format!("version: 1.0.0\n{checked}"), &exits(1)).expect(200);
    wait_until("the first fails", || matches!(bench.state("app").as_str(), "backing-off" | "crash-looping"));
    bench.deploy("app", &format!("version: 2.0.0\n{checked}"), accepts).expect(200);
    bench.wait_for("app", "ready");
    let works = bench.instance("app");
    let back = bench.post("/v1/apps/app/rollback", &json!({})).expect(200).json();
    assert_eq!(back["apps"][0]["revision"], 3);
    wait_until("it is given up", || {
        bench.get("/v1/apps/app").expect(200).json()["summary"]["version"] == "2.0.0"
    });
    bench.wait_for("app", "ready");
    assert_eq!(bench.instance("app"), works, "what works was not touched");
    assert_eq!(bench.get("/v1/apps/app").expect(200).json()["summary"]["revision"], 2);
}

#[test]
fn of_two_that_offer_one_name_at_the_same_time_one_is_deployed() {
    let bench = Bench::new();
    let offers = "type: service\nstop_grace: 100ms\nservices: [{ name: echo }]\n";
    let bundles = ["aaa", "bbb"].map(|name| bench.upload(name, offers, SLEEPER));
    for _ in 0..10 {
        let client = bench.client();
        let answers = std::thread::scope(|scope| {
            let deploys = bundles.each_ref().map(|bundle| {
                let client = &client;
                scope.spawn(move || {
                    client.post(
                        "/v1/deploy",
                        &json!({ "apps": [{ "bundle": bundle, "allow_unsigned": true }] }),
                    )
                })
            });
            deploys.map(|deploy| deploy.join().unwrap())
        });
        let mut statuses = answers.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{answers:?}");
        let apps = bench.get("/v1/apps").expect(200).json();
        assert_eq!(apps.as_array().unwrap().len(), 1);
        let winner = apps[0]["app"].as_str().unwrap();
        bench.ask("DELETE", &format!("/v1/apps/{winner}"), b"").expect(200);
        wait_until("it is gone", || bench.get("/v1/apps").expect(200).body == "[]");
    }
}

#[test]
fn a_bundle_that_is_replaced_while_it_is_deployed_is_the_old_one_or_the_new_one() {
    let bench = Bench::new();
    // What is uploaded under a name is what that name says.
    let (good, other) = (bench.upload("good", "", &exits(0)), bench.upload("other", "", &exits(1)));
    let bytes = fs::read(bench.sandbox.path("good.qyvbin")).unwrap();
    let before = bench.get("/v1/images").expect(200).body;
    let wrong = format!("{}{}", if good.starts_with('0') { "1" } else { "0" }, &good[1..]);
    assert!(bench.ask("PUT", &format!("/v1/blobs/{wrong}"), &bytes).status >= 400);
    assert_eq!(bench.get("/v1/images").expect(200).body, before);
    assert_ne!(good, other);

    // One file is put in the place of the other all the time, as an editor or a build does.
    for (version, code) in [("1.0.11", 11), ("1.0.12", 12)] {
        bench.upload("app", &format!("version: {version}\n"), &exits(code));
        fs::rename(bench.sandbox.path("app.qyvbin"), bench.sandbox.path(version)).unwrap();
    }
    let place = bench.sandbox.path("place.qyvbin");
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (place, over, sandbox) = (&place, &over, &bench.sandbox);
        fs::copy(sandbox.path("1.0.11"), place).unwrap();
        scope.spawn(move || {
            for version in ["1.0.11", "1.0.12"].into_iter().cycle() {
                if over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let draft = sandbox.path("draft");
                fs::copy(sandbox.path(version), &draft).unwrap();
                fs::rename(&draft, place).unwrap();
            }
        });
        for _ in 0..12 {
            let mut deploy = bench.command();
            deploy.args(["deploy", "place.qyvbin", "--allow-unsigned", "--force"]).stderr(Stdio::piped());
            let deployed = Ran::of(deploy.output().unwrap());
            let app = &bench.get("/v1/apps/app").expect(200).json();
            let version = app["summary"]["version"].as_str().unwrap();
            let code = app["instances"][0]["last_end"]["code"].as_u64().unwrap();
            let whole = version == format!("1.0.{code}");
            if !whole {
                over.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            assert!(whole, "{version} ended with {code}\n{}", deployed.stderr);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// A daemon whose state lies on a disk of its own, of 24 MiB, that nobody else sees.
fn on_a_small_disk() -> Option<(Bench, String)> {
    let mut bench = Bench::new();
    bench.ask("POST", "/v1/daemon/stop", b"").expect(204);
    assert_eq!(bench.ended(), Some(0));
    let state = bench.sandbox.path("state");
    let rights = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let mount = "mount -t tmpfs -o size=24m,mode=700 tmpfs \"$1\"";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args([rights, "sh", "-c", script, "sh"]).arg(&state).arg(env!("CARGO_BIN_EXE_qyvol"));
        command
    };
    if !unshare(mount).status().is_ok_and(|status| status.success()) {
        eprintln!("left out: a file system cannot be mounted in a namespace here");
        return None;
    }
    let mut command = unshare(&format!("{mount} && exec \"$2\" daemon run"));
    for (key, value) in bench.command().get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    bench.start_command(command);
    let pid = bench.get("/v1/info").expect(200).json()["pid"].as_u64().unwrap();
    // Through the daemon's own view of the files.
    let inside = format!("/proc/{pid}/root{}", state.display());
    Some((bench, inside))
}

#[test]
fn a_full_disk_refuses_what_is_asked_and_harms_nothing_that_runs() {
    let Some((bench, inside)) = on_a_small_disk() else { return };
    bench.deploy("small", "type: service\nlimits: { instances: 2 }\n", SLEEPER).expect(200);
    bench.wait_for("small", "ready");
    let runs = bench.instance("small");
    let spare = bench.upload("spare", "type: service\n", SLEEPER);
    let prepared = fs::read(bench.sandbox.path("spare.qyvbin")).unwrap();
    bench.post("/v1/images/prune", &json!({})).expect(200);

    // Whatever is left is taken.
    let filler = format!("{inside}/filler");
    let mut file = fs::File::create(&filler).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
            size /= 2;
        }
    }
    let full = bench.ask("PUT", &format!("/v1/blobs/{spare}"), &prepared);
    assert!(full.status >= 500 && full.body.contains("space"), "{full:?}");
    // What needs room in the database is refused whole, or done whole.
    let mut refused = 0;
    for replicas in [2, 1, 2, 1, 2, 1, 2, 1] {
        let scaled = bench.post("/v1/apps/small/scale", &json!({ "replicas": replicas }));
        let now = bench.get("/v1/apps/small").expect(200).json()["summary"]["replicas"].as_u64();
        match scaled.status {
            200 => assert_eq!(now, Some(replicas)),
            _ => {
                assert!(scaled.status >= 500, "{scaled:?}");
                refused += 1;
            }
        }
    }
    eprintln!("{refused} of 8 changes were refused");
    wait_until("it is as it was", || bench.state("small") == "ready");
    assert_eq!(bench.instance("small"), runs);
    bench.get("/metrics").expect(200);

    drop(file);
    fs::remove_file(&filler).unwrap();
    bench.ask("PUT", &format!("/v1/blobs/{spare}"), &prepared).expect(201);
    let spare = json!({ "apps": [{ "bundle": spare, "allow_unsigned": true }] });
    bench.post("/v1/deploy", &spare).expect(200);
    bench.wait_for("spare", "ready");
    bench.post("/v1/apps/small/scale", &json!({ "replicas": 1 })).expect(200);
    assert_eq!(bench.instance("small"), runs);
}
