//! Apps that are deployed to a real daemon, from the first command to the last.

mod sandbox;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use sandbox::{BUSY, Ran, Sandbox, exits, ready_then, wait_until};

/// A sandbox whose daemon ends with it.
struct Host(Sandbox);

impl Host {
    fn new() -> Self {
        Self(Sandbox::new())
    }

    /// A service that says `ready` and sleeps.
    fn service(&self, name: &str, more: &str) {
        let (_, sleep) = BUSY[1];
        self.0.write("apps/main.wat", ready_then(sleep));
        let manifest = format!(
            "name: {name}\nversion: 1.0.0\nentrypoint: main.wat\ntype: service\nstop_grace: 1s\n{more}"
        );
        self.0.write(&format!("apps/{name}.qyv"), manifest);
    }

    #[track_caller]
    fn run(&self, line: &str) -> Ran {
        self.0.run(&line.split(' ').collect::<Vec<_>>())
    }

    #[track_caller]
    fn state(&self, name: &str) -> String {
        let report = self.run("ps --all --json").expect(0, &[]).json();
        let apps = report["apps"].as_array().unwrap();
        let app = apps.iter().find(|app| app["app"] == name);
        app.map_or_else(|| "absent".into(), |app| app["state"].as_str().unwrap().to_owned())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let ended = self.0.command().args(["daemon", "stop", "--apps"]).output();
        if !std::thread::panicking() {
            Ran::of(ended.unwrap()).expect(0, &[]);
        }
    }
}

#[test]
fn a_service_lives_from_deploy_to_rm() {
    let host = Host::new();
    host.service("web", "");
    host.run("deploy apps/web.qyv").expect(0, &["started the daemon, process ", "daemon.log", "web: ready"]);
    // The second time nothing is started and nothing changes.
    let again = host.run("deploy apps/web.qyv --json").expect(0, &[]);
    assert!(!again.stderr.contains("started the daemon"), "{}", again.stderr);
    assert_eq!(
        (&again.json()["apps"][0]["changed"], &again.json()["apps"][0]["revision"]),
        (&false.into(), &1.into())
    );
    let listed = host.run("ps").expect(0, &[]).stdout;
    assert!(listed.contains("web") && listed.contains("1.0.0") && listed.contains("ready"), "{listed}");
    host.run("daemon start").expect(0, &["runs already"]);

    wait_until("its line is in the log", || host.run("logs web").expect(0, &[]).stdout == "ready\n");
    let line = host.run("logs web --json --since 1h --tail 1").expect(0, &[]).json();
    assert_eq!(
        (&line["text"], &line["stream"], &line["instance"]["app"]),
        (&"ready".into(), &"stdout".into(), &"web".into())
    );

    let told = host.run("inspect web").expect(0, &[]).stdout;
    assert!(told.contains("web 1.0.0") && told.contains("in worker") && told.contains("walls: "), "{told}");
    host.run("stats web --no-stream").expect(0, &[]);

    host.run("rm web").expect(126, &["`web` runs", "--force"]);
    host.run("stop web").expect(0, &["web: stopped"]);
    assert_eq!(host.state("web"), "stopped");
    assert!(!host.run("ps").stdout.contains("web"));
    host.run("start web").expect(0, &["web: ready"]);
    host.run("restart web").expect(0, &["web: ready"]);
    host.run("kill web").expect(0, &[]);
    host.run("rm web").expect(0, &["removed `web`"]);
    assert_eq!(host.state("web"), "absent");
    for line in ["logs web", "stop web", "rm web", "wait web", "inspect web", "port web"] {
        host.run(line).expect(127, &["web"]);
    }
    host.run("daemon stop").expect(0, &["has ended"]);
    host.run("ps").expect(125, &["no daemon runs"]);
}

#[test]
fn a_command_is_waited_for_and_ends_with_its_own_code() {
    let host = Host::new();
    host.0.write("seven.wat", exits(7));
    host.0.write("fine.wat", exits(0));
    host.run("deploy fine.wat").expect(0, &["fine: done"]);
    host.run("wait fine").expect(0, &[]);
    host.run("deploy seven.wat").expect(1, &["not up: `seven`", "qyvol logs seven"]);
    host.run("wait seven").expect(7, &[]);
    assert_eq!(host.state("seven"), "failed");
}

#[test]
fn what_was_not_granted_is_refused_and_what_was_is_shown() {
    let host = Host::new();
    host.service(
        "web",
        "env_from: [KEY]
",
    );
    host.run("deploy apps/web.qyv --env KEY=1").expect(126, &["`KEY`", "--grant"]);
    assert_eq!(host.state("web"), "absent");
    host.run("deploy apps/web.qyv --env KEY=1 --grant env:KEY").expect(0, &["web: ready"]);
    let told = host.run("inspect web").expect(0, &[]).stdout;
    assert!(told.contains("granted at deploy\n          env:KEY\n"), "{told}");
}

#[test]
fn replicas_are_scaled_and_a_revision_is_gone_back_to() {
    let host = Host::new();
    host.service("web", "limits: { instances: 2 }\n");
    host.run("deploy apps").expect(0, &["web: ready"]);
    host.run("scale web=2").expect(0, &[]);
    host.run("scale web=2 web=1").expect(2, &["`web` is named twice"]);
    let app = &host.run("ps --json").expect(0, &[]).json()["apps"][0];
    assert_eq!((&app["replicas"], &app["ready"]), (&2.into(), &2.into()));
    host.service("web", "limits: { instances: 2 }\nenv: { A: b }\n");
    host.run("deploy apps").expect(0, &["web: ready"]);
    host.run("rollback web").expect(0, &["web: ready"]);
    let told = host.run("inspect web --json").expect(0, &[]).json();
    assert_eq!((&told["summary"]["revision"], &told["manifest"]["env"]), (&3.into(), &serde_json::json!({})));
    host.run("rollback web --to 99").expect(127, &["99"]);
    host.run("image ls").expect(0, &[]);
    host.run("image prune").expect(0, &["removed "]);
}

#[test]
fn a_log_is_followed_until_ctrl_c() {
    let host = Host::new();
    host.service("web", "");
    host.run("deploy apps").expect(0, &[]);
    let mut command = host.0.command();
    let mut child = command.args(["logs", "web", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(shown.next().unwrap().unwrap(), "ready");
    // The next start writes on, and the one who follows sees it.
    host.run("restart web").expect(0, &[]);
    wait_until("it says so again", || shown.next().unwrap().unwrap() == "ready");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn two_that_deploy_at_once_start_one_daemon() {
    let host = Host::new();
    host.0.write("one.wat", exits(0));
    host.0.write("two.wat", exits(0));
    let start = |file: &str| host.0.command().args(["deploy", file]).stderr(Stdio::piped()).spawn().unwrap();
    let children = [start("one.wat"), start("two.wat")];
    for child in children {
        Ran::of(child.wait_with_output().unwrap()).expect(0, &["done"]);
    }
    assert_eq!(host.run("ps --all --json").json()["apps"].as_array().unwrap().len(), 2);
}

#[test]
fn a_worker_that_cannot_start_says_why_and_how_to_mend_it() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::new();
    host.service("web", "");
    let cache = host.0.cache();
    std::fs::create_dir_all(&cache).unwrap();
    set_permissions(&cache, Permissions::from_mode(0o755)).unwrap();
    let mend = format!("chmod 700 {}", cache.display());
    host.run("deploy apps/web.qyv").expect(1, &["its worker cannot start", &mend, "not up: `web`"]);
    let told = host.run("inspect web").expect(0, &[]).stdout;
    assert!(told.contains(&mend), "{told}");
    let mut events = host.0.command();
    let mut events = events.args(["events", "--since", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(events.stdout.take().unwrap())
        .lines()
        .find(|line| line.as_ref().unwrap().contains(&mend));
    assert!(told.unwrap().unwrap().contains("cannot start"));
    events.kill().and_then(|()| events.wait()).unwrap();
    set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
    host.run("restart web").expect(0, &[]);
    host.run("deploy apps/web.qyv").expect(0, &["web: ready"]);
}

#[test]
fn a_folder_of_many_apps_comes_up_by_one_command_and_is_there_after_a_restart() {
    let host = Host::new();
    let names: Vec<String> = (0..40).map(|number| format!("many-{number}")).collect();
    for name in &names {
        host.service(name, "limits: { memory: 16MiB }\n");
    }
    host.run("deploy apps").expect(0, &[]);
    let images = host.run("image ls --json").expect(0, &[]).json();
    assert_eq!(images["images"].as_array().unwrap().len(), names.len());
    // Nothing is sent twice: nothing is new.
    let again = host.run("deploy apps --json").expect(0, &[]).json();
    assert!(again["apps"].as_array().unwrap().iter().all(|app| app["changed"] == false));
    host.run("daemon stop").expect(0, &[]);
    host.run("daemon start").expect(0, &[]);
    assert!(names.iter().all(|name| host.state(name) == "ready"));
}
