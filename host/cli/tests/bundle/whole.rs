//! Full disks, limits and kills: what was there stays, and nothing is there in part.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;

use crate::desk::{Desk, Said, noise, qyvol};

/// Runs `qyvol` where no file may grow beyond `blocks` of 512 bytes: a write beyond it fails as on a full disk.
fn cramped(desk: &Desk, blocks: u32, arguments: &[&str]) -> Said {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Said::of(desk.command("sh").args(["-c", &script]).arg(qyvol()).args(arguments).output().unwrap())
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let desk = Desk::with_trusted_bundle();
    let (bundle, store) = (desk.read("work/hello.qyvbin"), desk.read("config/trust"));
    let names = desk.names("work");
    for arguments in [
        &["pack", ".", "-o", "new.qyvbin"][..],
        &["pack", "."],
        &["sign", "hello.qyvbin"],
        &["unpack", "hello.qyvbin", "-C", "out"],
    ] {
        let said = cramped(&desk, 64, arguments);
        assert_eq!(said.code, 125, "{arguments:?}: {said:?}");
        assert!(said.err.contains("File too large"), "{arguments:?}: {}", said.err);
        assert_eq!(desk.names("work"), names, "{arguments:?}");
    }
    assert_eq!(cramped(&desk, 0, &["trust", "add", "default", "--name", "x"]).code, 125);
    assert_eq!(cramped(&desk, 0, &["keygen", "--out", "next"]).code, 125);
    assert_eq!(desk.read("config/trust"), store);
    assert_eq!(desk.read("work/hello.qyvbin"), bundle);
    assert_eq!(desk.names("config"), ["keys", "trust", "trust.lock"]);
    assert_eq!(desk.names("config/keys"), ["default.key", "default.pub"]);
    desk.ok(&["verify", "hello.qyvbin"]);
}

#[test]
fn only_regular_files_are_replaced() {
    // Never tried on a real device: whoever breaks this, perhaps as root, shall not lose `/dev/null`.
    let desk = Desk::with_app();
    desk.write("elsewhere", "theirs");
    assert!(desk.command("mkfifo").arg("pipe").status().unwrap().success());
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path("work/link")).unwrap();
    for name in ["pipe", "link", "data"] {
        let text = format!("error: cannot write `{name}`: what is there is not a regular file\n");
        desk.fails(&["pack", "hello.qyv", "-o", name], 125, &text);
    }
    assert_eq!(desk.read("elsewhere"), b"theirs");
    assert!(desk.path("work/link").is_symlink());
    assert_eq!(desk.names("work"), ["data", "hello.qyv", "link", "main.wat", "pipe"]);
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let desk = Desk::with_app();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let said = desk.command(qyvol()).args(["pack", "hello.qyv", "--list"]).stdout(full).output().unwrap();
    assert_eq!(said.status.code(), Some(125), "{said:?}");
}

#[test]
fn a_killed_pack_leaves_nothing() {
    let desk = Desk::with_app();
    desk.ok(&["pack", ".", "-o", "../out/old.qyvbin"]);
    let old = desk.read("out/old.qyvbin");
    desk.write("work/data/large.bin", noise(100_000_000));
    let mut killed = 0;
    for (signal, milliseconds) in [("KILL", 100), ("INT", 250), ("TERM", 400), ("KILL", 600)] {
        for name in ["../out/old.qyvbin", "../out/new.qyvbin"] {
            let mut command = desk.command(qyvol());
            command.args(["pack", ".", "-o", name]).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(milliseconds));
            let id = child.id().to_string();
            assert!(desk.command("kill").args(["-s", signal, &id]).status().unwrap().success());
            if child.wait().unwrap().signal().is_some() {
                killed += 1;
            }
            // It may have been done, or all but done: then what is there is whole.
            for there in desk.names("out") {
                assert!(["old.qyvbin", "new.qyvbin"].contains(&there.as_str()), "{signal} left `{there}`");
                let bytes = desk.read(&format!("out/{there}"));
                let whole = || desk.qyvol(&["inspect", &format!("../out/{there}")]).code == 0;
                assert!(bytes == old || whole(), "{signal} after {milliseconds} ms left a part of `{there}`");
            }
            desk.write("out/old.qyvbin", &old);
            let _ = std::fs::remove_file(desk.path("out/new.qyvbin"));
        }
    }
    assert!(killed >= 2, "only {killed} were killed in time");
}
