//! Files that hang, and neighbours that go on.

use qyv_spec::manifest::{Kind, Mode};
use qyvol_protocol::worker::{FromWorker, Mount, MountFrom, Start, ToWorker};

use crate::bench::{Bench, Daemon, manifest};
use crate::fuse::{FILE, Fuse, Never};
use crate::neighbour::{answers, neighbour};
use crate::sandbox::wait_until;

/// Opens a file of its first mount, reads from it, and exits with the errno of what fails.
fn reads(name: &str) -> String {
    let length = name.len();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 64) "{name}")
        (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
        (func (export "_start")
            (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const {length}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 100))
            (call $check (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))))"#
    )
}

/// An app whose volume is the folder of its name.
fn with_volume(bench: &Bench, name: &str, file: &str) -> Start {
    let mut app = bench.app(&manifest(name, Kind::Service, ""), &reads(file));
    let from = MountFrom::Volume { path: bench.sandbox.path(&format!("volumes/{name}")) };
    app.mounts = vec![Mount { place: "/data".parse().unwrap(), mode: Mode::ReadWrite, from }];
    app
}

/// The worker does what it is told.
#[track_caller]
fn listens(daemon: &mut Daemon) {
    daemon.say(&ToWorker::Usage { request: 77 });
    daemon.hear(|message| matches!(message, FromWorker::Usage { request: 77, .. }).then_some(()));
}

#[test]
fn a_mount_that_hangs_holds_up_nobody_else() {
    let bench = Bench::new();
    let Some(fuse) = Fuse::mount(&bench.sandbox.path("volumes/stuck"), Never::Read) else { return };
    let app = with_volume(&bench, "stuck", FILE);
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    // More than there are threads for guests, and than one app may hold.
    let mut instances = Vec::new();
    for slot in 0..20 {
        let mut more = app.clone();
        more.instance.slot = slot;
        more.instance.generation = 1 + u64::from(slot);
        daemon.start(&more, &[]);
        daemon.started(&more);
        instances.push(more);
    }
    wait_until("they hang", || fuse.hanging() >= 8);
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    answers(&mut stream, 500);
    // Killing them does not help, and harms nobody.
    for stuck in &instances {
        for _ in 0..4 {
            daemon.say(&ToWorker::Kill { instance: stuck.instance.clone() });
        }
    }
    answers(&mut stream, 500);
    listens(&mut daemon);
    assert!(fuse.hanging() < instances.len(), "one app holds few threads");
    drop(fuse);
    for stuck in &instances {
        assert_eq!(daemon.end_of(stuck).cause, "killed");
    }
    answers(&mut stream, 10);
}

#[test]
fn a_volume_that_cannot_be_counted_holds_up_its_own_app() {
    let bench = Bench::new();
    let Some(fuse) = Fuse::mount(&bench.sandbox.path("volumes/stuck"), Never::ReadDir) else { return };
    let app = with_volume(&bench, "stuck", FILE);
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    let mut instances = Vec::new();
    for slot in 0..6 {
        let mut more = app.clone();
        more.instance.slot = slot;
        more.instance.generation = 1 + u64::from(slot);
        daemon.start(&more, &[]);
        instances.push(more);
    }
    wait_until("they hang", || fuse.hanging() > 0);
    let mut stream = neighbour(&bench, &worker, &mut daemon);
    answers(&mut stream, 100);
    for stuck in &instances {
        daemon.say(&ToWorker::Kill { instance: stuck.instance.clone() });
    }
    listens(&mut daemon);
    drop(fuse);
    for stuck in &instances {
        daemon.hear(|message| match message {
            FromWorker::Failed { instance, .. } => (*instance == stuck.instance).then_some(()),
            FromWorker::Exited(exited) => (exited.instance == stuck.instance).then_some(()),
            _ => None,
        });
    }
    answers(&mut stream, 10);
}

#[test]
fn a_worker_in_which_all_that_is_left_hangs_is_ended_by_killing_that() {
    let bench = Bench::new();
    let Some(fuse) = Fuse::mount(&bench.sandbox.path("volumes/stuck"), Never::Anything) else { return };
    let app = with_volume(&bench, "stuck", FILE);
    let mut worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[]);
    daemon.started(&app);
    wait_until("it hangs", || fuse.hanging() > 0);
    for _ in 0..3 {
        daemon.say(&ToWorker::Kill { instance: app.instance.clone() });
    }
    assert_eq!(worker.wait(), Some(124));
}

#[test]
fn a_pipe_among_files_is_refused() {
    let bench = Bench::new();
    let folder = bench.sandbox.path("volumes/piped");
    std::fs::create_dir_all(&folder).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let app = with_volume(&bench, "piped", "pipe");
    let worker = bench.closed_worker("w");
    let mut daemon = worker.connect(1).unwrap();
    daemon.start(&app, &[]);
    let end = daemon.end_of(&app);
    assert_eq!(end.cause, "exit");
    assert_ne!(end.code, 0, "it was opened and read");
}
