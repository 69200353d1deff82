//! Files of apps in and out: volumes to archives and back, `cp`, and bundles that are removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use serde_json::json;

use crate::bench::{Bench, SLEEPER};
use crate::sandbox::Ran;

const KEEPS: &str = "type: service\npermissions: { fs: read-write }\nlimits: { disk: 1MiB }\n";

/// An app with a volume, some files in it, and its path.
fn keeper() -> (Bench, std::path::PathBuf) {
    let bench = Bench::new();
    bench.deploy("keeper", KEEPS, SLEEPER).expect(200);
    bench.wait_for("keeper", "ready");
    let volume = bench.sandbox.path("state/volumes/keeper");
    fs::create_dir_all(volume.join("a")).unwrap();
    fs::write(volume.join("a/one"), "1").unwrap();
    fs::write(volume.join("two"), "22").unwrap();
    symlink("../two", volume.join("a/link")).unwrap();
    symlink("/etc/passwd", volume.join("out")).unwrap();
    (bench, volume)
}

#[test]
fn a_volume_is_saved_and_put_back_whole_or_not_at_all() {
    let (bench, volume) = keeper();
    let run = |arguments: &[&str]| bench.sandbox.run(arguments);
    let saved =
        run(&["volume", "backup", "keeper", "v.tar", "--json"]).expect(0, &["different moments"]).json();
    assert_eq!(
        (&saved["running"], &saved["summary"]["files"], &saved["summary"]["left_out"]),
        (&json!(true), &json!(2), &json!(1))
    );
    run(&["volume", "backup", "keeper", "v.tar"]).expect(126, &["--force"]);
    let shown =
        run(&["volume", "backup", "keeper", "v.tar", "--force"]).expect(0, &["left out: ", "out", "2 files"]);
    assert_eq!(shown.stdout, "");
    run(&["volume", "backup", "nobody", "v2.tar"]).expect(127, &["no volume"]);
    assert!(!bench.sandbox.path("v2.tar").exists());

    run(&["volume", "restore", "keeper", "v.tar"]).expect(126, &["qyvol stop keeper"]);
    run(&["stop", "keeper"]).expect(0, &[]);
    fs::write(volume.join("two"), "changed").unwrap();
    fs::write(volume.join("later"), "").unwrap();
    // An archive that is cut changes nothing.
    let bytes = fs::read(bench.sandbox.path("v.tar")).unwrap();
    bench.sandbox.write("cut.tar", &bytes[..bytes.len() / 2 + 100]);
    run(&["volume", "restore", "keeper", "cut.tar"]).expect(126, &["archive"]);
    bench.sandbox.write(
        "none.tar",
        "this is no archive at all, but long enough to be read as the head of one".repeat(20),
    );
    run(&["volume", "restore", "keeper", "none.tar"]).expect(126, &["archive"]);
    assert!(volume.join("later").exists());
    run(&["volume", "restore", "keeper", "v.tar"]).expect(0, &["restored `keeper`"]);
    assert!(!volume.join("later").exists() && fs::read_to_string(volume.join("two")).unwrap() == "22");
    assert_eq!(fs::read_link(volume.join("a/link")).unwrap(), std::path::Path::new("../two"));
    run(&["start", "keeper"]).expect(0, &[]);

    // Over standard streams, to a volume that no app has yet.
    let mut command = bench.command();
    let piped = Ran::of(command.args(["volume", "backup", "keeper", "-"]).output().unwrap());
    assert_eq!(piped.code, Some(0), "{}", piped.stderr);
    let mut command = bench.command();
    let file = fs::File::open(bench.sandbox.path("v.tar")).unwrap();
    let restored =
        Ran::of(command.args(["volume", "restore", "spare", "-"]).stdin(Stdio::from(file)).output().unwrap());
    restored.expect(0, &[]);
    assert!(bench.sandbox.path("state/volumes/spare/a/one").is_file());
    // More than the app may hold.
    run(&["stop", "keeper"]).expect(0, &[]);
    fs::write(bench.sandbox.path("state/volumes/spare/large"), vec![0; 2 << 20]).unwrap();
    run(&["volume", "backup", "spare", "large.tar"]).expect(0, &[]);
    run(&["volume", "restore", "keeper", "large.tar"]).expect(126, &["keeper"]);
}

#[test]
fn files_are_copied_between_an_app_and_this_host() {
    let (bench, volume) = keeper();
    let run = |arguments: &[&str]| bench.sandbox.run(arguments);
    let at = |name: &str| bench.sandbox.path(name);
    run(&["cp", "keeper:/data/two", "here"]).expect(0, &["1 files"]);
    assert_eq!(fs::read_to_string(at("here")).unwrap(), "22");
    fs::create_dir(at("folder")).unwrap();
    run(&["cp", "keeper:/data/a", "folder"]).expect(0, &["1 left out"]);
    assert_eq!(fs::read_to_string(at("folder/a/one")).unwrap(), "1");
    run(&["cp", "keeper:/data", "all"]).expect(0, &["left out"]);
    assert_eq!(fs::read_link(at("all/a/link")).unwrap(), std::path::Path::new("../two"));
    assert!(at("all/out").symlink_metadata().is_err());
    // What is packaged is read, and not written.
    run(&["cp", "keeper:/main.wasm", "."]).expect(0, &[]);
    assert_eq!(fs::read(at("main.wasm")).unwrap(), wat::parse_str(SLEEPER).unwrap());
    run(&["cp", "here", "keeper:/main.wasm"]).expect(126, &["packaged"]);

    fs::write(at("new"), "new").unwrap();
    run(&["cp", "new", "keeper:/data/"]).expect(0, &[]);
    run(&["cp", "new", "keeper:/data/two"]).expect(0, &[]);
    run(&["cp", "folder", "keeper:/data/renamed"]).expect(0, &[]);
    assert_eq!(fs::read_to_string(volume.join("new")).unwrap(), "new");
    assert_eq!(fs::read_to_string(volume.join("two")).unwrap(), "new");
    assert_eq!(fs::read_to_string(volume.join("renamed/a/one")).unwrap(), "1");
    // Through a link of the guest's nothing is written, nor read.
    symlink(at(""), volume.join("trap")).unwrap();
    run(&["cp", "new", "keeper:/data/trap/planted"]).expect(126, &[]);
    assert!(!at("planted").exists());
    run(&["cp", "keeper:/data/trap/new", "read"]).expect(126, &[]);
    run(&["cp", "new", "keeper:/data/out"]).expect(0, &[]);
    assert!(volume.join("out").symlink_metadata().unwrap().is_file());
    // Limits hold.
    fs::write(at("large"), vec![0; 2 << 20]).unwrap();
    run(&["cp", "large", "keeper:/data/"]).expect(126, &["large"]);

    for (arguments, code, words) in [
        (["keeper:/data/nothing", "x"], 127, "nothing"),
        (["keeper:/nothing", "x"], 127, "nothing"),
        (["nobody:/data", "x"], 127, "nobody"),
        (["new", "keeper:/data/no/such"], 127, "no"),
        (["new", "keeper:/data/two/"], 126, "two"),
        (["keeper:/data/../x", "x"], 126, ".."),
        (["keeper:/run/secrets/KEY", "x"], 126, "not its own"),
        (["new", "here"], 2, "one side"),
        (["keeper:/data/two", "keeper:/data/three"], 2, "one side"),
        (["missing", "keeper:/data"], 127, "missing"),
    ] {
        run(&["cp", arguments[0], arguments[1]]).expect(code, &[words]);
    }
    // As an archive, both ways.
    let mut command = bench.command();
    let archive = command.args(["cp", "keeper:/data/renamed", "-"]).output().unwrap().stdout;
    let tar = bench.sandbox.write("files.tar", archive);
    let mut command = bench.command();
    let input = Stdio::from(fs::File::open(tar).unwrap());
    Ran::of(command.args(["cp", "-", "keeper:/data/a"]).stdin(input).output().unwrap())
        .expect(0, &["1 files"]);
    assert_eq!(fs::read_to_string(volume.join("a/renamed/a/one")).unwrap(), "1");
    let plain = bench.deploy("plain", "type: service\n", SLEEPER).expect(200);
    drop(plain);
    run(&["cp", "new", "plain:/data/"]).expect(127, &["`plain` has no volume", "fs: read-write"]);
}

#[test]
fn one_bundle_is_removed_unless_something_needs_it() {
    let bench = Bench::new();
    let hash = bench.upload("app", "type: service\n", SLEEPER);
    bench.deploy("app", "type: service\n", SLEEPER).expect(200);
    let spare = bench.upload("spare", "type: service\n", SLEEPER);
    bench.sandbox.run(&["image", "rm", &hash[..12]]).expect(126, &["`app`", "used"]);
    bench.sandbox.run(&["image", "rm", &spare[..12]]).expect(0, &["removed"]);
    assert_eq!(bench.ask("DELETE", &format!("/v1/images/{spare}"), b"").status, 404);
    bench.ask("DELETE", "/v1/images/xyz", b"").expect(400);
    let images = bench.get("/v1/images").expect(200).json();
    assert_eq!((images.as_array().unwrap().len(), &images[0]["image"]), (1, &json!(hash)));
    bench.wait_for("app", "ready");
}
