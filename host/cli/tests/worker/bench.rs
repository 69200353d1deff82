//! A worker's process, and the side of the daemon.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use qyv_spec::app::AppLimits;
use qyv_spec::bundle::{Bundle, Input, Writer};
use qyv_spec::manifest::Kind;
use qyv_spec::{App, Manifest};
use qyvol_protocol::InstanceId;
use qyvol_protocol::channel;
use qyvol_protocol::worker::{
    CONTROL_FD, Exited, FromWorker, Hello, PREPARE_ARGUMENT, SERVICES_FD, Start, TOKEN_VARIABLE, ToWorker,
    VERSION, WORKER_ARGUMENT, Welcome,
};

use crate::sandbox::{PATIENCE, Sandbox};

/// The word that the workers of these tests are started with.
pub(crate) const TOKEN: &str = "a word";

/// A worker in a folder of its own.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
}

/// One worker's process.
pub(crate) struct Process {
    child: Child,
    pub(crate) control: PathBuf,
    pub(crate) services: PathBuf,
}

/// A daemon's connection to it.
#[derive(Debug)]
pub(crate) struct Daemon {
    stream: UnixStream,
    pub(crate) welcome: Welcome,
    /// What was heard and not asked for yet.
    heard: Vec<FromWorker>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        for folder in ["blobs", "logs", "volumes"] {
            fs::create_dir(sandbox.path(folder)).unwrap();
        }
        Self { sandbox }
    }

    /// Starts a worker that may make connections to hosts.
    pub(crate) fn worker(&self, name: &str) -> Process {
        self.worker_with(name, &["--outside"])
    }

    /// Starts a worker that may not.
    pub(crate) fn closed_worker(&self, name: &str) -> Process {
        self.worker_with(name, &[])
    }

    fn worker_with(&self, name: &str, more: &[&str]) -> Process {
        let path = |end: &str| self.sandbox.path(&format!("{name}.{end}"));
        let (control, services) = (path("control"), path("services"));
        let sockets = [&control, &services].map(|path| UnixListener::bind(path).unwrap());
        let folders = ["blobs", "logs", "volumes"].map(|name| self.sandbox.path(name));
        let mut command = self.sandbox.command();
        command.args([WORKER_ARGUMENT, "--name", name, "--stack", "1048576", "--cache"]);
        command.arg(self.sandbox.cache());
        command.arg("--read").arg(&folders[0]).arg("--write").arg(&folders[1]).args(more);
        command.env(TOKEN_VARIABLE, TOKEN);
        command.arg("--write").arg(&folders[2]).stdout(Stdio::null());
        // High numbers first, so that neither is overwritten before it is copied.
        let high = sockets.map(|socket| rustix::io::fcntl_dupfd_cloexec(&socket, 100).unwrap());
        let numbers =
            [CONTROL_FD, SERVICES_FD].into_iter().zip(&high).map(|(to, from)| (from.as_raw_fd(), to));
        let numbers: Vec<_> = numbers.collect();
        // SAFETY: between fork and exec only dup2 is called, which is safe there; the descriptors are open until then.
        unsafe {
            command.pre_exec(move || {
                for (from, to) in &numbers {
                    if libc::dup2(*from, *to) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(high);
        Process { child, control, services }
    }

    /// Packs a program under a manifest's text, and compiles it.
    pub(crate) fn app(&self, manifest: &str, wat: &str) -> Start {
        let start = self.uncompiled(manifest, wat);
        let mut command = self.sandbox.command();
        command.arg(PREPARE_ARGUMENT).arg("--bundle").arg(&start.bundle);
        let ran = command.arg("--cache").arg(self.sandbox.cache()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        start
    }

    /// The same, not compiled.
    pub(crate) fn uncompiled(&self, manifest: &str, wat: &str) -> Start {
        let program = wat::parse_str(wat).unwrap();
        let manifest = Manifest::from_yaml(&format!("{manifest}entrypoint: main.wasm\n"), "app.qyv").unwrap();
        let hash = qyv_spec::app::Hash::of(&program);
        let file = qyv_spec::app::PackagedFile {
            path: "main.wasm".parse().unwrap(),
            size: program.len() as u64,
            blake3: hash,
        };
        let app: App = manifest.resolve(vec![file]).unwrap();
        let path = self.sandbox.path(&format!("blobs/{}", app.name));
        let mut writer = Writer::new(app.to_json());
        let module = writer.module("main.wasm", Input::bytes(&program)).unwrap();
        writer.module_file("main.wasm", 0, module).unwrap();
        let mut output =
            fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        writer.write(&mut output, &[]).unwrap();
        assert!(Bundle::open(output).is_ok());
        start(&app, path, hash, self.sandbox.path(&format!("logs/{}.log", app.name)))
    }

    /// The text of an app's log.
    pub(crate) fn log(&self, start: &Start) -> String {
        fs::read_to_string(&start.log).unwrap_or_default()
    }
}

fn start(app: &App, bundle: PathBuf, module: qyv_spec::app::Hash, log: PathBuf) -> Start {
    let dial = app.permissions.net.connect.iter().filter_map(|endpoint| match endpoint {
        qyv_spec::service::Endpoint::Service(address) => Some(address.clone()),
        qyv_spec::service::Endpoint::Host(_) => None,
    });
    Start {
        instance: InstanceId { app: app.name.clone(), slot: 0, generation: 1 },
        revision: 1,
        bundle,
        module,
        kind: app.kind,
        args: Vec::new(),
        env: Vec::new(),
        own_files: false,
        mounts: Vec::new(),
        secrets: Vec::new(),
        dial: dial.collect(),
        connect: app.permissions.net.connect.clone(),
        anywhere: false,
        services: app.services.clone(),
        listen: Vec::new(),
        limits: AppLimits { cpu_milli: None, ..app.limits.clone() },
        weight: app.scheduler.weight,
        log,
        health: None,
    }
}

impl Process {
    /// Connects as a daemon does.
    pub(crate) fn connect(&self, lease: u64) -> Result<Daemon, String> {
        self.connect_with(lease, TOKEN)
    }

    /// Connects as one that says this word.
    pub(crate) fn connect_with(&self, lease: u64, token: &str) -> Result<Daemon, String> {
        self.greet(Hello { version: VERSION, lease, token: token.to_owned() })
    }

    /// The same with any greeting.
    pub(crate) fn greet(&self, hello: Hello) -> Result<Daemon, String> {
        let stream = UnixStream::connect(&self.control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        channel::send(&stream, &ToWorker::Hello(hello), &[]).unwrap();
        match channel::receive(&stream).unwrap().unwrap().message {
            FromWorker::Welcome(welcome) => Ok(Daemon { stream, welcome, heard: Vec::new() }),
            FromWorker::Refused { message, .. } => Err(message),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    pub(crate) fn say(&self, message: &ToWorker) {
        channel::send(&self.stream, message, &[]).unwrap();
    }

    pub(crate) fn start(&self, start: &Start, sockets: &[OwnedFd]) {
        let sockets: Vec<_> = sockets.iter().map(std::os::fd::AsFd::as_fd).collect();
        channel::send(&self.stream, &ToWorker::Start(Box::new(start.clone())), &sockets).unwrap();
    }

    /// Waits for a message, and keeps the others for later.
    #[track_caller]
    pub(crate) fn hear<R>(&mut self, mut wanted: impl FnMut(&FromWorker) -> Option<R>) -> R {
        if let Some(at) = self.heard.iter().position(|message| wanted(message).is_some()) {
            return wanted(&self.heard.remove(at)).unwrap();
        }
        loop {
            let message: FromWorker =
                channel::receive(&self.stream).unwrap().expect("the worker hung up").message;
            match wanted(&message) {
                Some(found) => return found,
                None => self.heard.push(message),
            }
        }
    }

    /// Waits for the end of an app's instance.
    #[track_caller]
    pub(crate) fn end_of(&mut self, start: &Start) -> Exited {
        self.hear(|message| match message {
            FromWorker::Exited(exited) if exited.instance == start.instance => Some((**exited).clone()),
            FromWorker::Failed { instance, message } if *instance == start.instance => panic!("{message}"),
            _ => None,
        })
    }

    /// Waits until an app's instance runs.
    #[track_caller]
    pub(crate) fn started(&mut self, start: &Start) {
        self.hear(|message| match message {
            FromWorker::Started { instance } => (*instance == start.instance).then_some(()),
            FromWorker::Failed { instance, message } if *instance == start.instance => panic!("{message}"),
            _ => None,
        });
    }

    /// Nothing is said for a moment.
    pub(crate) fn hears_nothing(&self) {
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let silent = channel::receive::<FromWorker>(&self.stream);
        assert!(silent.is_err(), "{silent:?}");
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

/// A manifest of this kind.
pub(crate) fn manifest(name: &str, kind: Kind, more: &str) -> String {
    let kind = serde_json::to_value(kind).unwrap();
    format!("name: {name}\ntype: {}\n{more}", kind.as_str().unwrap())
}

/// A program that prints and does something after it.
pub(crate) fn prints(text: &str, then: &str) -> String {
    let length = text.len();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00")
        (data (i32.const 16) "{text}")
        (func $sleep (param $ns i64)
            (i32.store (i32.const 1040) (i32.const 1))
            (i64.store (i32.const 1048) (local.get $ns))
            (drop (call $poll (i32.const 1024) (i32.const 1100) (i32.const 1) (i32.const 1200))))
        (func (export "_start")
            (i32.store (i32.const 4) (i32.const {length}))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            {then}))"#
    )
}
