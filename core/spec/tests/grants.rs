//! Goal: an app gets all that it asked for, by someone's word, or does not start and says what is missing.
//! Method: manifests that reach for one thing each are decided with grants, policies and settings around them.
#![cfg(feature = "yaml")]

use qyv_spec::app::{App, Hash, PackagedFile};
use qyv_spec::grants::{
    Bind, Capabilities, Grants, MountedFrom, Policy, Refusal, Setting, decide, parse_allow_list,
};
use qyv_spec::manifest::Mode;
use qyv_spec::{Manifest, Name};

fn app(rest: &str) -> App {
    let text = format!("name: acme-app\nentrypoint: a.wasm\n{rest}");
    let manifest = Manifest::from_yaml(&text, "a.qyv").unwrap_or_else(|errors| panic!("{errors}"));
    let path = "a.wasm".parse().unwrap_or_else(|e| panic!("{e}"));
    let file = PackagedFile { path, size: 1, blake3: Hash::of(b"") };
    manifest.resolve(vec![file]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn grants(allow: &str, binds: &[&str]) -> Grants {
    let allow =
        if allow.is_empty() { Vec::new() } else { parse_allow_list(allow).unwrap_or_else(|e| panic!("{e}")) };
    let bind = binds.iter().map(|bind| bind.parse::<Bind>().unwrap_or_else(|e| panic!("{e}"))).collect();
    Grants { allow, bind }
}

fn policy(text: &str) -> Policy {
    Policy::from_yaml_bytes(text.as_bytes(), "policy.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

fn decided(app: &App, grants: &Grants) -> Result<Capabilities, Vec<String>> {
    with_policy(app, grants, &Policy::default())
}

fn with_policy(app: &App, grants: &Grants, policy: &Policy) -> Result<Capabilities, Vec<String>> {
    decide(app, grants, policy, &Setting::default())
        .map_err(|refusals| refusals.iter().map(Refusal::to_string).collect())
}

#[test]
fn own_things_need_no_question() {
    let own = app("permissions: {fs: read-write, ai: true}\nfs: {type: memfs, mount: /tmp, size: 1MiB}\n");
    let got = decided(&own, &Grants::default()).unwrap_or_else(|refusals| panic!("{refusals:?}"));
    assert_eq!(got.mounts[0].from, MountedFrom::Memory { bytes: 1 << 20 });
}

#[test]
fn each_reach_needs_its_grant_and_names_it() {
    for (rest, key, mend, wrong) in [
        (
            "permissions: {net: true}",
            "permissions.net",
            "net",
            "services,exec,admin,gfx,sensors,env,https://a,ai",
        ),
        (
            "permissions: {net: {connect: [https://a.org]}}",
            "permissions.net.connect",
            "https://a.org",
            "https://b.org,services,http://a.org",
        ),
        (
            "permissions: {net: {connect: [service://db/1]}}",
            "permissions.net.connect",
            "service://db/1",
            "net,service://db/2,service://d",
        ),
        (
            "permissions: {net: {listen: [tcp://127.0.0.1:80]}}",
            "permissions.net.listen",
            "listen:tcp://127.0.0.1:80",
            "listen:tcp://127.0.0.1:81,listen:tcp://0.0.0.0:80",
        ),
        ("permissions: {exec: true}", "permissions.exec", "exec-own", "exec:acme-app,net"),
        ("permissions: {exec: {run: [b]}}", "permissions.exec.run", "exec:b", "exec-own,exec:c"),
        ("permissions: {admin: [stop]}", "permissions.admin", "admin:stop", "admin:logs,exec"),
        ("permissions: {gfx: true}", "permissions.gfx", "gfx", "sensors"),
        ("permissions: {sensors: true}", "permissions.sensors", "sensors", "gfx"),
        ("env_from: [KEY]", "env_from", "env:KEY", "env:OTHER"),
        (
            "fs: {type: netfs, source: https://s.io/d, mount: /d}",
            "fs",
            "https://s.io",
            "https://t.io,services",
        ),
    ] {
        let app = app(rest);
        for refused in ["", wrong] {
            let refusals = decided(&app, &grants(refused, &[])).expect_err(rest);
            assert_eq!(refusals.len(), 1, "{refusals:?}");
            assert!(
                refusals[0].contains(key) && refusals[0].ends_with(&format!("`--grant {mend}`")),
                "{refusals:?}"
            );
        }
        for enough in [mend, "all"] {
            assert!(decided(&app, &grants(enough, &[])).is_ok(), "{rest} {enough}");
        }
        // A yes to what was listed is stored as just that, and is enough the next time.
        let stored = Grants { allow: app.requests().narrowest(), bind: Vec::new() };
        let read: Grants =
            serde_json::from_str(&serde_json::to_string(&stored).expect("JSON")).expect("grants");
        assert!(decided(&app, &read).is_ok(), "{rest}");
    }
}

#[test]
fn a_later_version_that_asks_for_more_is_asked_about_again() {
    let stored = Grants {
        allow: app("permissions: {net: {connect: [https://a.org]}}").requests().narrowest(),
        bind: Vec::new(),
    };
    assert!(decided(&app("permissions: {net: {connect: [https://a.org, https://b.org]}}"), &stored).is_err());
    assert!(decided(&app("permissions: {net: true}"), &stored).is_err());
}

#[test]
fn a_service_of_the_same_deployment_needs_no_question() {
    let app = app("permissions: {net: {connect: [service://db, service://other]}}");
    let mine: [Name; 1] = ["db".parse().unwrap_or_else(|e| panic!("{e}"))];
    let setting = Setting { deployment: &mine, folder: None };
    let refusals =
        decide(&app, &Grants::default(), &Policy::default(), &setting).expect_err("one of them is another's");
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].message.contains("service://other"), "{}", refusals[0]);
}

#[test]
fn host_paths_come_by_bind_only_and_never_wider() {
    let slots = app(
        "fs:\n  - {type: diskfs, source: slot:inbox, mount: /in}\n  - {type: diskfs, source: slot:out, mount: /out, mode: read-write}\n",
    );
    let refusals = decided(&slots, &grants("all", &[])).expect_err("no path is bound");
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert!(
        refusals[0].contains("`--bind inbox=PATH:ro`") && refusals[1].contains("`--bind out=PATH`"),
        "{refusals:?}"
    );
    let got = decided(&slots, &grants("", &["inbox=/srv/in:rw", "out=/srv/out:ro"]))
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(got.mounts[0].from, MountedFrom::Bound { path: "/srv/in".into() });
    assert_eq!((got.mounts[0].mode, got.mounts[1].mode), (Mode::ReadOnly, Mode::ReadOnly));
    for wrong in [&["inbox=/a", "out=/b", "oubox=/c"][..], &["inbox=/a", "out=/b", "out=/c"]] {
        assert!(decided(&slots, &grants("", wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_folder_beside_the_manifest_is_for_running_in_place() {
    let app = app("fs: {type: diskfs, source: data, mount: /in}\n");
    assert!(decided(&app, &grants("all", &[])).is_err());
    let setting = Setting { deployment: &[], folder: Some("/home/ana/app") };
    let got =
        decide(&app, &Grants::default(), &Policy::default(), &setting).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(got.mounts[0].from, MountedFrom::Folder { root: "/home/ana/app".into(), path: "data".into() });
    let elsewhere = policy("policy: 1\npaths: [/srv]\n");
    assert!(decide(&app, &Grants::default(), &elsewhere, &setting).is_err());
}

#[test]
fn a_policy_caps_everything() {
    let closed = policy("policy: 1\nallow: []\n");
    for rest in
        ["permissions: {net: true}", "permissions: {ai: true}", "permissions: {gfx: true}", "env_from: [A]"]
    {
        let refusals = with_policy(&app(rest), &grants("all", &[]), &closed).expect_err(rest);
        assert!(refusals[0].contains("policy"), "{refusals:?}");
    }
    assert!(with_policy(&app("permissions: {fs: read-write}"), &Grants::default(), &closed).is_ok());
    let some = policy("policy: 1\nallow: [https://a.org]\n");
    assert!(
        with_policy(&app("permissions: {net: {connect: [https://a.org]}}"), &grants("all", &[]), &some)
            .is_ok()
    );
    assert!(with_policy(&app("permissions: {net: true}"), &grants("all", &[]), &some).is_err());
    // A policy allows at most; it does not grant.
    assert!(
        with_policy(&app("permissions: {net: {connect: [https://a.org]}}"), &Grants::default(), &some)
            .is_err()
    );
}

#[test]
fn a_policy_caps_paths_and_limits() {
    let slot = app(
        "limits: {memory: 1GiB, wall: 1h}\nfs: {type: diskfs, source: slot:in, mount: /in, mode: read-write}\n",
    );
    let policy =
        policy("policy: 1\npaths: [/srv/in, \"/srv/ro:ro\"]\nlimits: {memory: 64MiB, cpu: 0.5, wall: 2h}\n");
    let got =
        with_policy(&slot, &grants("", &["in=/srv/in/deep"]), &policy).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(
        (got.limits.memory, got.limits.cpu_milli, got.limits.wall_ms),
        (64 << 20, Some(500), Some(3_600_000))
    );
    for path in ["/srv/inn", "/srv", "/", "/srv/in/../../etc", "srv/in", "/srv/ro", "/etc"] {
        assert!(with_policy(&slot, &grants("", &[&format!("in={path}")]), &policy).is_err(), "{path}");
    }
    assert!(with_policy(&slot, &grants("", &["in=/srv/ro/x:ro"]), &policy).is_ok());
}

#[test]
fn a_standing_grant_is_for_its_names_only() {
    let standing = |name: &str| {
        policy(&format!(
            "policy: 1\napps:\n  - name: {name}\n    grant: [net]\n    bind: [\"in=/srv/in:ro\"]\n"
        ))
    };
    let app = app("permissions: {net: true}\nfs: {type: diskfs, source: slot:in, mount: /in}\n");
    for name in ["acme-app", "acme-*", "\"*\""] {
        assert!(with_policy(&app, &Grants::default(), &standing(name)).is_ok(), "{name}");
    }
    for name in ["acme", "acme-app2", "other-*"] {
        assert!(with_policy(&app, &Grants::default(), &standing(name)).is_err(), "{name}");
    }
    // The operator's own bind comes before the standing one.
    let got = with_policy(&app, &grants("", &["in=/home/in"]), &standing("acme-app"))
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(got.mounts[0].from, MountedFrom::Bound { path: "/home/in".into() });
}

#[test]
fn a_bad_policy_is_explained() {
    for (text, says) in [
        ("", "empty"),
        ("allow: []", "`policy` is missing"),
        ("policy: 2", "version 2"),
        ("policy: 1\nalow: []", "did you mean `allow`"),
        ("policy: 1\nallow: [nett]", "not a grant"),
        ("policy: 1\npaths: [srv]", "not an absolute path"),
        ("policy: 1\napps: [{name: A*}]", "not a name"),
    ] {
        let errors = Policy::from_yaml_bytes(text.as_bytes(), "policy.yaml").expect_err(text).to_string();
        assert!(errors.contains(says), "{errors}");
    }
}

/// What an app is granted with everything, and these folders.
fn all(rest: &str, binds: &[&str]) -> Capabilities {
    decided(&app(rest), &grants("all", binds)).unwrap_or_else(|refusals| panic!("{refusals:?}"))
}

#[test]
fn a_child_keeps_what_its_starter_was_granted_too() {
    let slots = "fs:\n  - {type: diskfs, source: slot:a, mount: /a, mode: read-write}\n  \
        - {type: diskfs, source: slot:b, mount: /b, mode: read-write}\n  \
        - {type: diskfs, source: slot:c, mount: /c}\n  - {type: memfs, mount: /tmp}\n";
    let child = all(
        &format!(
            "permissions: {{fs: read-write, net: {{connect: [service://db, 'service://log/2', service://own, https://a.org], \
             listen: [tcp://127.0.0.1:80]}}, exec: {{run: [x, y]}}, admin: [stop, logs], sensors: true}}\n\
             env_from: [KEY, OWN]\nlimits: {{memory: 64MiB, fds: 64}}\n{slots}"
        ),
        &["a=/srv/shared/deep/er", "b=/srv/sharedness", "c=/srv/own"],
    );
    let starter = all(
        "permissions: {net: {connect: [service://db/1, service://log, https://a.org]}, exec: {run: [y, z]}, \
         admin: [logs, power], sensors: true}\nenv_from: [KEY]\nlimits: {memory: 8MiB, fds: 128}\n\
         fs: {type: diskfs, source: slot:s, mount: /s, mode: read-write}\n",
        &["s=/srv/shared:ro"],
    );
    let kept = child.within(&starter);
    let words = |items: &[String]| items.join(" ");
    let asked = &kept.permissions;
    let dial: Vec<_> = asked.net.connect.iter().map(ToString::to_string).collect();
    assert_eq!(words(&dial), "service://db/1 service://log/2");
    assert!(asked.net.listen.is_empty() && !asked.net.anywhere && asked.sensors && !asked.exec.own);
    assert_eq!(asked.exec.run, ["y".parse().unwrap_or_else(|e| panic!("{e}"))]);
    assert_eq!(asked.admin, [qyv_spec::manifest::AdminRight::Logs]);
    assert_eq!(asked.fs, qyv_spec::manifest::OwnFiles::ReadOnly);
    assert_eq!(kept.env_from.iter().map(ToString::to_string).collect::<Vec<_>>(), ["KEY"]);
    assert_eq!((kept.limits.memory, kept.limits.fds, kept.limits.disk), (8 << 20, 64, 0));
    // A folder within one of the starter's, no more than that one lets it; beside it in name alone, or elsewhere: nothing.
    let places: Vec<_> = kept.mounts.iter().map(|mount| mount.mount.to_string()).collect();
    assert_eq!(places, ["/a", "/tmp"]);
    assert_eq!(
        (kept.mounts[0].mode, &kept.mounts[0].from),
        (Mode::ReadOnly, &MountedFrom::Folder { root: "/srv/shared".into(), path: "deep/er".into() })
    );
    // Nothing grows on the way, and whoever has nothing hands nothing on.
    let poor = all("", &[]);
    assert_eq!(child.within(&starter).within(&starter), kept);
    let nothing = child.within(&poor);
    assert_eq!(nothing.within(&starter).mounts, nothing.mounts);
    let mut own = poor.permissions.clone();
    own.fs = qyv_spec::manifest::OwnFiles::ReadOnly;
    assert_eq!(nothing.permissions, own);
}
