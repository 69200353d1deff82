//! Deployments that come with their bundles, whole and otherwise.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Answer, Bench};
use crate::sandbox::exits;

/// An archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o400);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn send(bench: &Bench, archive: &[u8]) -> Answer {
    bench.ask("POST", "/v1/deploy/bundles", archive)
}

fn asked(hashes: &[&str]) -> Vec<u8> {
    let apps: Vec<Value> =
        hashes.iter().map(|hash| json!({ "bundle": hash, "allow_unsigned": true })).collect();
    json!({ "apps": apps }).to_string().into_bytes()
}

/// The files of blobs, drafts among them.
fn files(bench: &Bench) -> usize {
    let folders = fs::read_dir(bench.sandbox.path("state/blobs")).unwrap();
    folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn a_deployment_brings_what_the_daemon_lacks_and_outlives_it() {
    let mut bench = Bench::new();
    let pack = |name: &str, manifest: &str| bench.pack(name, manifest, &wat::parse_str(exits(0)).unwrap());
    let ((one, first), (two, second)) = (pack("one", ""), pack("two", ""));
    let missing =
        bench.post("/v1/deploy", &serde_json::from_slice(&asked(&[&one, &two])).unwrap()).expect(404);
    let mut lacks = vec![&*one, &*two];
    lacks.sort_unstable();
    assert_eq!(missing.json()["missing"], json!(lacks));

    let request = asked(&[&one, &two]);
    let all = archive(&[("deploy.json", &request), (&one, &first), (&two, &second)]);
    let deployed = send(&bench, &all).expect(200).json();
    assert_eq!((&deployed["apps"][0]["app"], &deployed["apps"][1]["app"]), (&"one".into(), &"two".into()));
    bench.crash();
    bench.start();
    bench.wait_for("one", "done");
    bench.wait_for("two", "done");
    assert_eq!(bench.get("/v1/images").expect(200).json().as_array().unwrap().len(), 2);
    // What is there already is let go, and nothing changes.
    let again = send(&bench, &all).expect(200).json();
    assert_eq!(again["apps"][0]["changed"], false);
    assert_eq!(files(&bench), 2);

    // A deployment that is refused keeps what came with it, for the answer to a question.
    let (keyed, third) = bench.pack("keyed", "env_from: [KEY]\n", &wat::parse_str(exits(0)).unwrap());
    let request = asked(&[&keyed]);
    let refused = send(&bench, &archive(&[("deploy.json", &request), (&keyed, &third)])).expect(422);
    assert!(refused.body.contains("--grant env:KEY"), "{}", refused.body);
    bench.post("/v1/deploy", &serde_json::from_slice(&request).unwrap()).expect(422);
    assert_eq!(bench.post("/v1/images/prune", &json!({})).expect(200).json()["images"], 1);
    bench.post("/v1/deploy", &serde_json::from_slice(&request).unwrap()).expect(404);
}

#[test]
fn what_is_no_deployment_with_its_bundles_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let (hash, bundle) = bench.pack("app", "", &wat::parse_str(exits(0)).unwrap());
    let other = "11".repeat(32);
    let request = asked(&[&hash]);
    let both = asked(&[&hash, &other]);
    let json = ("deploy.json", &*request);
    let refused = |archive: &[u8], status: u16, words: &str| {
        let problem = send(&bench, archive).expect(status).body;
        assert!(problem.contains(words), "`{words}` is missing in {problem}");
    };
    refused(b"", 400, "is empty");
    refused(&[b'x'; 2000], 400, "cannot be read");
    refused(&archive(&[(&hash, &bundle)]), 400, "does not begin with `deploy.json`");
    refused(&archive(&[("deploy.json", b"{}")]), 400, "not what it should be");
    refused(&archive(&[json, (&other, &bundle)]), 400, "no bundle of the deployment");
    refused(&archive(&[json, ("x", &bundle)]), 400, "no bundle of the deployment");
    refused(&archive(&[json, (&hash, &bundle), (&hash, &bundle)]), 400, "is there twice");
    refused(&archive(&[json, (&hash, b"no bundle")]), 400, "no whole bundle");
    refused(&archive(&[("deploy.json", &both), (&hash, &bundle), (&other, &bundle)]), 400, "have the hash");
    // One that is cut off: between two files, and within one.
    let whole = archive(&[("deploy.json", &both), (&hash, &bundle), (&other, &bundle)]);
    refused(&whole[..whole.len() - 2048], 400, "");
    let mut linked = tar::Header::new_ustar();
    linked.set_entry_type(tar::EntryType::Symlink);
    linked.set_size(0);
    let mut builder = tar::Builder::new(Vec::new());
    let mut first = tar::Header::new_ustar();
    first.set_size(request.len() as u64);
    builder.append_data(&mut first, "deploy.json", &*request).unwrap();
    builder.append_link(&mut linked, &hash, "/etc/passwd").unwrap();
    refused(&builder.into_inner().unwrap(), 400, "no bundle of the deployment");
    assert_eq!((bench.get("/v1/apps").expect(200).body, files(&bench)), ("[]".to_owned(), 0));

    // Without one of its bundles it is not deployed, and what came is kept.
    let partly = send(&bench, &archive(&[("deploy.json", &both), (&hash, &bundle)])).expect(404);
    assert_eq!(partly.json()["missing"], json!([other]));
    assert_eq!((bench.get("/v1/apps").expect(200).body, files(&bench)), ("[]".to_owned(), 1));
}
