//! Goal: a resolved app has one spelling, and what a stranger's bundle says is held to what a manifest could say.
//! Method: a manifest that uses every key is resolved, compared with a golden file, and then spoilt in many ways.
#![cfg(feature = "yaml")]

use qyv_spec::app::{APP_JSON_BYTES_MAX, App, Hash, HostFeatures, PackagedFile, Probe, ReadError};
use qyv_spec::{Manifest, Problem};
use serde_json::{Value, json};

const EVERY_KEY: &str = include_str!("every-key.qyv");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/every-key.json");

fn file(path: &str) -> PackagedFile {
    PackagedFile { path: path.parse().unwrap_or_else(|e| panic!("{e}")), size: 3, blake3: Hash::of(b"qyv") }
}

fn resolve(text: &str, files: &[&str]) -> Result<App, Vec<Problem>> {
    let manifest = Manifest::from_yaml(text, "a.qyv").unwrap_or_else(|errors| panic!("{errors}"));
    manifest.resolve(files.iter().map(|path| file(path)).collect())
}

fn every_key() -> App {
    resolve(EVERY_KEY, &["bin/app.wasm", "assets/b.txt", "assets/a.txt"])
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn small() -> App {
    resolve("name: a\nentrypoint: a.wasm\n", &["a.wasm"]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Spoils the JSON of an app and reads it back in the canonical spelling of what it became.
fn spoilt(spoil: impl FnOnce(&mut Value)) -> ReadError {
    let mut value: Value = serde_json::from_slice(&every_key().to_json()).expect("JSON");
    spoil(&mut value);
    let bytes = serde_json::to_vec(&value).expect("JSON");
    App::from_json(&bytes).expect_err("a spoilt app")
}

#[test]
fn the_spelling_of_an_app_is_the_golden_one() {
    let bytes = every_key().to_json();
    let text = String::from_utf8(bytes.clone()).expect("UTF-8") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(GOLDEN, &text).expect("a writable folder");
    }
    assert_eq!(std::fs::read_to_string(GOLDEN).unwrap_or_default(), text, "write it with UPDATE=1");
    assert_eq!(App::from_json(&bytes), Ok(every_key()));
}

#[test]
fn the_order_of_files_does_not_change_the_spelling() {
    let other = resolve(EVERY_KEY, &["assets/a.txt", "bin/app.wasm", "assets/b.txt"]);
    assert_eq!(other.map(|app| app.to_json()), Ok(every_key().to_json()));
}

#[test]
fn keys_are_sorted_and_numbers_are_integers() {
    fn walk(value: &Value) {
        match value {
            Value::Number(number) => assert!(number.is_u64() || number.is_i64(), "{number}"),
            Value::Array(items) => items.iter().for_each(walk),
            Value::Object(map) => {
                let keys: Vec<_> = map.keys().collect();
                assert!(keys.is_sorted(), "{keys:?}");
                map.values().for_each(walk);
            }
            _ => {}
        }
    }
    walk(&serde_json::from_slice(&every_key().to_json()).expect("JSON"));
}

#[test]
fn a_newer_schema_is_refused_whatever_else_it_holds() {
    assert_eq!(App::from_json(br#"{"new key":[1.5],"qyv":2}"#), Err(ReadError::Newer(2)));
    assert!(matches!(App::from_json(br#"{"qyv":0}"#), Err(ReadError::Malformed(_))));
}

#[test]
fn a_second_spelling_is_refused() {
    let text = String::from_utf8(small().to_json()).expect("UTF-8");
    for other in [
        format!("{text}\n"),
        format!(" {text}"),
        text.replace(r#""args":[]"#, r#""args": []"#),
        text.replace(r#""env":{}"#, r#""env":{"A":"1","A":"1"}"#),
        text.replace(r#""name":"a""#, r#""name":"\u0061""#),
        text.replacen(r#""args":[],"#, "", 1)
            .replace(r#","version":"0.0.0"}"#, r#","version":"0.0.0","args":[]}"#),
    ] {
        assert_ne!(other, text);
        assert_eq!(App::from_json(other.as_bytes()), Err(ReadError::NotCanonical), "{other}");
    }
}

#[test]
fn a_bundle_says_nothing_that_a_manifest_could_not() {
    let wrong = |error: ReadError| matches!(error, ReadError::Wrong(_) | ReadError::Malformed(_));
    let hash = Hash::of(b"qyv").to_string();
    let one = |path: &str| json!({ "blake3": hash, "path": path, "size": 1 });
    assert!(wrong(spoilt(|app| app["fs"][0]["source"] = json!("/etc"))));
    assert!(wrong(spoilt(|app| app["fs"][0]["source"] = json!("folder"))));
    assert!(wrong(spoilt(|app| app["fs"][0]["mount"] = json!("/svc"))));
    assert!(wrong(spoilt(|app| app["fs"][0]["mount"] = json!("/assets/a.txt"))));
    assert!(wrong(spoilt(|app| app["files"] = json!([one("../a")]))));
    assert!(wrong(spoilt(|app| app["files"] = json!([one("assets/.env"), one("bin/app.wasm")]))));
    assert!(wrong(spoilt(|app| app["files"] = json!([one("bin/app.wasm"), one("assets/a")]))));
    assert!(wrong(spoilt(|app| app["files"] = json!([one("bin/app.wasm"), one("bin/app.wasm")]))));
    assert!(wrong(spoilt(|app| app["files"] = json!([one("bin"), one("bin/app.wasm")]))));
    assert!(wrong(spoilt(|app| app["files"] = json!([]))));
    assert!(wrong(spoilt(|app| app["files"][0]["size"] = json!(u64::MAX))));
    assert!(wrong(spoilt(|app| app["files"][0]["blake3"] = json!("00"))));
    assert!(wrong(spoilt(|app| app["limits"]["memory"] = json!(u64::MAX))));
    assert!(wrong(spoilt(|app| app["limits"]["memory"] = json!(1.5))));
    assert!(wrong(spoilt(|app| app["limits"]["fds"] = json!(0))));
    assert!(wrong(spoilt(|app| app["program"] = json!("julia"))));
    assert!(wrong(spoilt(|app| app["permissions"]["root"] = json!(true))));
    assert!(wrong(spoilt(|app| app["env"]["A=B"] = json!("x"))));
    assert!(wrong(spoilt(|app| app["env"]["A"] = json!("x\0y"))));
}

#[test]
fn a_health_check_by_the_apps_own_program_is_bounded() {
    let manifest = "name: a\nentrypoint: a.wasm\ntype: service\nhealth: {exec: [--check, db]}\n";
    let app = resolve(manifest, &["a.wasm"]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let health = app.health.clone().expect("a check");
    assert_eq!(health.probe, Probe::Exec(vec!["--check".into(), "db".into()]));
    assert_eq!(health.start_period_ms, 0);
    assert_eq!(App::from_json(&app.to_json()), Ok(app));

    let exec = |args: Value| spoilt(|app| app["health"]["probe"] = json!({ "exec": args }));
    assert!(matches!(exec(json!([])), ReadError::Wrong(_)));
    assert!(matches!(exec(json!(["a\0b"])), ReadError::Wrong(_)));
    assert!(matches!(exec(json!(vec!["a"; 257])), ReadError::Wrong(_)));
    assert!(matches!(exec(json!(["a".repeat(1 << 20)])), ReadError::Wrong(_)));
    let period = |ms: u64| spoilt(|app| app["health"]["start_period_ms"] = json!(ms));
    assert!(matches!(period(u64::MAX), ReadError::Wrong(_)));
}

#[test]
fn no_byte_that_is_changed_makes_the_reader_panic_or_keeps_the_meaning() {
    let bytes = every_key().to_json();
    let app = every_key();
    for at in 0..bytes.len() {
        for flip in [1_u8, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            assert_ne!(App::from_json(&changed).ok().as_ref(), Some(&app), "byte {at}");
        }
        assert!(App::from_json(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn reading_is_bounded() {
    assert_eq!(App::from_json(&vec![b' '; APP_JSON_BYTES_MAX + 1]), Err(ReadError::TooLong));
    for seed in ["[", "{\"a\":", "\"", "[[],", "1"] {
        let bytes = seed.repeat(APP_JSON_BYTES_MAX / seed.len());
        assert!(App::from_json(bytes.as_bytes()).is_err(), "{seed}");
    }
}

#[test]
fn what_a_host_cannot_give_is_named_key_by_key() {
    let none = every_key().unavailable(&HostFeatures::default());
    let keys: Vec<_> = none.iter().map(|missing| missing.path.to_string()).collect();
    for key in [
        "type",
        "permissions.fs",
        "permissions.net.connect",
        "permissions.net.listen",
        "permissions.ai",
        "permissions.exec",
        "permissions.admin",
        "permissions.gfx",
        "permissions.sensors",
        "fs[3]",
        "services",
        "depends_on",
        "scheduler",
        "scheduler.weight",
        "limits.cpu",
        "limits.log",
        "limits.instances",
        "health",
        "stop_grace",
        "isolation",
    ] {
        assert!(keys.iter().any(|found| found == key), "{key} is not among {keys:?}");
    }
    let everything = HostFeatures {
        supervision: true,
        services: true,
        net: true,
        listen: true,
        http: true,
        web: true,
        gfx: true,
        ai: true,
        exec: true,
        admin: true,
        power: true,
        sensors: true,
        netfs: true,
        julia: true,
        lua: true,
        shares: true,
        weights: true,
        predictive: true,
        own_process: true,
        volumes: true,
    };
    assert_eq!(every_key().unavailable(&everything), []);
    assert_eq!(small().unavailable(&HostFeatures::default()), []);
}

#[test]
fn a_limit_of_the_processor_does_not_stand_for_a_weight() {
    let text = "name: a\nentrypoint: a.wasm\nlimits: {cpu: 0.5}\nscheduler: {weight: 200}\n";
    let app = resolve(text, &["a.wasm"]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let missing = |host| app.unavailable(&host).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        missing(HostFeatures { shares: true, ..HostFeatures::default() }),
        ["`scheduler.weight`: weighing apps against each other: not available here yet"]
    );
    assert_eq!(
        missing(HostFeatures { weights: true, ..HostFeatures::default() }),
        ["`limits.cpu`: shares of the processors: not available here yet"]
    );
}

#[test]
fn a_folder_beside_the_manifest_is_not_packed() {
    let app =
        resolve("name: a\nentrypoint: a.wasm\nfs: {type: diskfs, source: data, mount: /in}\n", &["a.wasm"]);
    let app = app.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(app.check_portable().is_err() && small().check_portable().is_ok());
    assert!(matches!(App::from_json(&app.to_json()), Err(ReadError::Wrong(_))));
}

#[test]
fn an_entrypoint_that_is_hidden_is_an_error() {
    for path in [".config/x.wasm", "bin/.x.wasm", ".git/hooks/x.lua"] {
        let text = format!("name: a\nentrypoint: {path}\n");
        let refused = Manifest::from_yaml(&text, "a.qyv").expect_err(path).to_string();
        let expected = format!("`entrypoint`: `{path}` is a hidden file, which is never packaged");
        assert!(refused.contains(&expected), "{refused}");
    }
    let ReadError::Wrong(problems) = spoilt(|app| {
        app["entrypoint"] = json!(".config/x.wasm");
        let mut program = app["files"][2].clone();
        program["path"] = json!(".config/x.wasm");
        app["files"] = json!([program]);
    }) else {
        panic!("read as something else")
    };
    let keys: Vec<_> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(keys, ["entrypoint", "files"]);
}

#[test]
fn an_entrypoint_that_is_not_there_is_an_error() {
    let problems = resolve("name: a\nentrypoint: a.wasm\n", &["b.wasm"]).expect_err("no entrypoint");
    assert_eq!(
        problems[0].to_string(),
        "`entrypoint`: `a.wasm` does not exist; build it, or name the program that exists"
    );
}
