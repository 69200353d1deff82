//! The folder of native code: what is damaged or foreign is compiled again, and never loaded.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::sandbox::{Ran, Sandbox, exits, large_module};

/// A sandbox with one entry, and its file.
fn filled() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.module("app.wasm", &exits(42));
    sandbox.run(&["run", "app.wasm"]).expect(42, &[]);
    let entries = sandbox.cached(".native");
    assert_eq!(entries.len(), 1);
    let entry = entries[0].clone();
    (sandbox, entry)
}

/// The app still runs, and its entry was replaced by one that is in order.
#[track_caller]
fn compiled_again(sandbox: &Sandbox, entry: &PathBuf, flaw: &str, what: &str) {
    let before = fs::symlink_metadata(entry).unwrap();
    let ran = sandbox.run(&["cache", "verify", "--json"]).expect(1, &[]);
    let told = ran.json()["flawed"][0]["flaw"].as_str().unwrap().to_owned();
    assert!(told.contains(flaw), "{what}: {told}");
    let ran = sandbox.run(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(42), "{what}: {}", ran.stderr);
    let after = fs::symlink_metadata(entry).unwrap();
    assert!(after.is_file() && after.ino() != before.ino(), "{what}: it was not compiled again");
    sandbox.run(&["cache", "verify"]).expect(0, &[]);
}

#[test]
fn a_second_start_uses_the_entry() {
    let (sandbox, entry) = filled();
    let before = fs::metadata(&entry).unwrap();
    sandbox.run(&["run", "app.wasm"]).expect(42, &[]);
    let after = fs::metadata(&entry).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(fs::metadata(sandbox.cache()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(after.mode() & 0o777, 0o600);
}

#[test]
fn an_entry_with_any_changed_part_is_compiled_again() {
    let (sandbox, entry) = filled();
    let length = usize::try_from(fs::metadata(&entry).unwrap().len()).unwrap();
    // From the end: magic 8, version 4, length 4, MAC 32, record; from the start: the first page of the code.
    for (what, at) in [
        ("magic", length - 1),
        ("version", length - 12),
        ("record length", length - 16),
        ("MAC", length - 17),
        ("MAC", length - 48),
        ("record", length - 49),
        ("record", length - 200),
        ("code", 0),
        ("code", 64),
        ("code", 4095),
    ] {
        let mut bytes = fs::read(&entry).unwrap();
        bytes[at] ^= 1;
        fs::write(&entry, bytes).unwrap();
        compiled_again(&sandbox, &entry, "", what);
    }
}

#[test]
fn a_change_deep_in_the_code_is_found_by_verify_and_removed() {
    let (sandbox, entry) = filled();
    let mut bytes = fs::read(&entry).unwrap();
    // Behind the first page, which a start checks; before the record and its MAC.
    let at = bytes.len() - 4096;
    assert!(at > 4096);
    bytes[at] ^= 1;
    fs::write(&entry, bytes).unwrap();
    let ran = sandbox.run(&["cache", "verify"]).expect(1, &["its code was changed"]);
    assert!(ran.stdout.contains("0 of 1"), "{}", ran.stdout);
}

#[test]
fn a_short_entry_is_compiled_again() {
    let (sandbox, entry) = filled();
    let whole = fs::read(&entry).unwrap();
    for keep in [0, 1, 47, 48, 4096, whole.len() - 1] {
        fs::write(&entry, &whole[..keep]).unwrap();
        compiled_again(&sandbox, &entry, "", &format!("{keep} bytes"));
    }
    fs::write(&entry, [&whole[..], b"x"].concat()).unwrap();
    compiled_again(&sandbox, &entry, "", "a byte more");
}

#[test]
fn an_entry_of_another_host_or_name_is_compiled_again() {
    let (sandbox, entry) = filled();
    fs::write(sandbox.cache().join("host.key"), [7; 32]).unwrap();
    compiled_again(&sandbox, &entry, "another host", "another host's key");
    let other = Sandbox::new();
    other.module("app.wasm", &exits(1));
    other.run(&["run", "app.wasm"]).expect(1, &[]);
    fs::copy(&other.cached(".native")[0], &entry).unwrap();
    compiled_again(&sandbox, &entry, "another host", "an entry of another cache");
    sandbox.module("other.wasm", &exits(1));
    sandbox.run(&["run", "other.wasm"]).expect(1, &[]);
    let foreign = sandbox.cached(".native").into_iter().find(|path| *path != entry).unwrap();
    fs::copy(&foreign, &entry).unwrap();
    compiled_again(&sandbox, &entry, "wrong name", "an entry under another's name");
}

#[test]
fn a_link_or_a_file_of_others_in_place_of_an_entry_is_compiled_again() {
    let (sandbox, entry) = filled();
    let elsewhere = sandbox.path("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    compiled_again(&sandbox, &entry, "not a file", "a link");
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).unwrap();
    compiled_again(&sandbox, &entry, "not a file", "writable by all");
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    // A folder cannot be replaced by a file: that is said, and nothing is loaded.
    sandbox.run(&["run", "app.wasm"]).expect(125, &["cache"]);
}

#[test]
fn a_folder_that_others_can_enter_is_not_used() {
    let (sandbox, _) = filled();
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(sandbox.cache(), fs::Permissions::from_mode(mode)).unwrap();
        for arguments in [&["run", "app.wasm"][..], &["cache", "list"], &["cache", "clear"]] {
            sandbox.run(arguments).expect(125, &["chmod 700"]);
        }
        sandbox.run(&["doctor"]).expect(1, &[]);
    }
    fs::set_permissions(sandbox.cache(), fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.run(&["run", "app.wasm"]).expect(42, &[]);
    fs::rename(sandbox.cache(), sandbox.path("moved")).unwrap();
    symlink(sandbox.path("moved"), sandbox.cache()).unwrap();
    sandbox.run(&["run", "app.wasm"]).expect(125, &["links are not followed"]);
    fs::remove_file(sandbox.cache()).unwrap();
    fs::write(sandbox.cache(), "").unwrap();
    sandbox.run(&["run", "app.wasm"]).expect(125, &["cache"]);
}

#[test]
fn a_key_that_is_none_is_said() {
    let (sandbox, _) = filled();
    let key = sandbox.cache().join("host.key");
    for damage in [&b""[..], b"short"] {
        fs::write(&key, damage).unwrap();
        sandbox.run(&["run", "app.wasm"]).expect(125, &["host.key", "remove it"]);
    }
    fs::remove_file(&key).unwrap();
    sandbox.run(&["run", "app.wasm"]).expect(42, &[]);
}

#[test]
fn of_first_starts_at_once_one_compiles() {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", large_module(1000));
    let start = || sandbox.command().args(["run", "app.wasm"]).spawn().unwrap();
    let mut children = [start(), start(), start()];
    // Each process that compiles writes to a file that has its number in its name.
    let mut partials = BTreeSet::new();
    let mut running = true;
    while running {
        partials.extend(
            sandbox
                .cached(".partial")
                .into_iter()
                .filter(|path| !path.to_str().unwrap().contains("host.key")),
        );
        running = children.iter_mut().any(|child| child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(partials.len(), 1, "{partials:?}");
    for child in &mut children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    assert_eq!(sandbox.cached(".native").len(), 1);
}

#[test]
fn a_compilation_that_takes_too_long_is_given_up() {
    let sandbox = Sandbox::new();
    sandbox.write("app.wasm", large_module(3000));
    let start = std::time::Instant::now();
    let mut command = sandbox.command();
    command.args(["run", "app.wasm", "--compile-timeout", "200ms", "--status-file", "status.json"]);
    Ran::of(command.output().unwrap()).expect(126, &["200 ms", "--compile-timeout"]);
    assert!(start.elapsed() < std::time::Duration::from_secs(3));
    assert!(sandbox.cached(".partial").is_empty() && sandbox.cached(".native").is_empty());
}
