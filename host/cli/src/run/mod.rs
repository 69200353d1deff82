//! `qyvol run`, step by step: find the app, decide what it gets, compile, build its files, run, report.

mod descriptors;
mod files;
pub(crate) mod grants;
pub(crate) mod options;
mod outside;
mod reach;
mod report;
mod volume;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qyv_spec::app::HostFeatures;
use qyv_spec::grants::Capabilities;
use qyv_vfs::Budget;
use qyv_wasi::{ProcessBuilder, StreamKind};
use qyvol_engine::{
    Cache, Compiler, Finished, Interrupt, Program, Settings, Sink, Source, Start, Stdio, Watch, Watchdog,
};

use crate::commands::run::Run;
use crate::failure::{Failure, Result};
use crate::look;
use crate::target::{self, Target};
use crate::terminal::TerminalFilter;
use outside::WayOut;
use report::Report;

/// What this host can give to an app.
pub(crate) const FEATURES: HostFeatures = HostFeatures {
    supervision: false,
    services: false,
    net: true,
    listen: false,
    http: false,
    web: false,
    gfx: false,
    ai: false,
    exec: false,
    admin: false,
    power: false,
    sensors: false,
    netfs: false,
    julia: false,
    lua: false,
    shares: true,
    weights: false,
    predictive: false,
    own_process: true,
    volumes: true,
};

/// Native stack that a guest's thread has besides what the guest may use: for the host's own calls.
const HOST_STACK_BYTES: usize = 2 << 20;

/// Runs the app. Whatever happens, there is an exit code, and the status file says why.
pub(crate) fn execute(options: &Run) -> ExitCode {
    let report = Report::new(options);
    match prepare_and_run(options, &report) {
        Ok(finished) => report.finished(&finished),
        Err(failure) => report.failed(&failure),
    }
}

/// Everything that a guest's thread needs.
struct Prepared {
    program: Program,
    target: Target,
    granted: Capabilities,
    folders: reach::Folders,
    way_out: Option<WayOut>,
    interrupt: Interrupt,
    watchdog: Watchdog,
}

fn prepare_and_run(options: &Run, report: &Report) -> Result<Finished> {
    let interrupt = Interrupt::new().map_err(Failure::own)?;
    let signals = qyvol_engine::catch_signals().map_err(Failure::own)?;
    let watchdog = Watchdog::start(signals, interrupt.clone(), report.last_words()).map_err(Failure::own)?;
    let target = target::open(&options.app, target::Accept { unsigned: options.allow_unsigned })?;
    check_available(&target)?;
    let (granted, folders) = grants::granted(&target, options)?;
    if options.no_interruption && granted.limits.cpu_milli.is_some_and(|milli| milli < 1000) {
        return Err(
            Failure::usage("`limits.cpu` needs interruption points").hint("leave out `--no-interruption`")
        );
    }
    let prepared = prepare(options, target, granted, folders, interrupt, watchdog)?;
    // On a thread of its own: the second wall holds for the guest, and this thread can still write the report.
    let stack =
        usize::try_from(prepared.granted.limits.stack).unwrap_or(usize::MAX).saturating_add(HOST_STACK_BYTES);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("guest".into())
            .stack_size(stack)
            .spawn_scoped(scope, || run_guest(options, report, prepared))
            .map_err(Failure::own)?
            .join()
            .unwrap_or_else(|_| Err(Failure::own("the host failed while it ran the app; please report this")))
    })
}

/// Refuses an app that needs what is not here: nothing that it asks for is dropped.
fn check_available(target: &Target) -> Result<()> {
    let missing = target.app.unavailable(&FEATURES);
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing.iter().map(|missing| format!("  {missing}\n")).collect();
    let failure = Failure::refused(format!(
        "`{}` needs what is not available here yet:\n{}",
        target.app.name,
        list.concat()
    ));
    let asked = &target.app.permissions;
    let asks = asked.exec.own || !asked.exec.run.is_empty() || !asked.admin.is_empty();
    Err(if asks {
        failure
            .hint("`permissions.exec` and `permissions.admin` need a daemon: deploy it with `qyvol deploy`")
    } else {
        failure
    })
}

fn prepare(
    options: &Run,
    target: Target,
    granted: Capabilities,
    folders: reach::Folders,
    interrupt: Interrupt,
    mut watchdog: Watchdog,
) -> Result<Prepared> {
    let limits = &granted.limits;
    let settings = Settings {
        interruption: !options.no_interruption,
        coredump: options.coredump.is_some(),
        source_lines: true,
        stack_bytes: usize::try_from(limits.stack).unwrap_or(usize::MAX),
        pool: None,
    };
    let program = load(options, &target, &settings, &interrupt)?;
    watchdog.hold(Watch {
        wall: [limits.wall_ms.map(Duration::from_millis), options.timeout].into_iter().flatten().min(),
        cpu_time: limits.cpu_time_ms.map(Duration::from_millis),
        cpu_share_milli: limits.cpu_milli,
    });
    // Here, where no wall stands: its threads read what the host's resolver reads.
    let way_out = WayOut::open(&granted.permissions.net)?;
    Ok(Prepared { program, target, granted, folders, way_out, interrupt, watchdog })
}

fn load(options: &Run, target: &Target, settings: &Settings, interrupt: &Interrupt) -> Result<Program> {
    let cache = Cache::open(crate::folders::cache()?)?;
    let mut compiler = Compiler::this_program(crate::cli::COMPILE_ARGUMENT).map_err(Failure::own)?;
    compiler.timeout = options.compile_timeout;
    let bytes = || target.program.bytes().map_err(|failure| qyvol_engine::Error::Source(failure.message));
    let source = Source { hash: target.program.hash, bytes: &bytes };
    let mut progress = crate::progress::Spinner::default();
    Program::load(&source, settings, &cache, &compiler, interrupt, &mut progress).map_err(|error| {
        let app = (!matches!(target.origin, target::Origin::Module)).then_some(&target.app);
        let place = look::program_of(&options.app, app);
        look::refusal(&place, target.program.bytes().ok().as_deref(), error)
    })
}

fn run_guest(options: &Run, report: &Report, prepared: Prepared) -> Result<Finished> {
    let Prepared { program, target, granted, folders, way_out, interrupt, watchdog } = prepared;
    // Connections are handed to this thread by the one that makes them.
    if way_out.is_none() {
        descriptors::keep_own();
    }
    let memory = Budget::new(granted.limits.memory);
    let (mut files, _volume) = files::build(&target, &granted, &folders, options, &memory)?;
    let walls: Vec<_> = files.reach.iter().map(|(folder, reach)| (folder, *reach)).collect();
    let wall = qyvol_fs::landlock::restrict(&walls).map_err(Failure::own)?;
    report.set_wall(&wall);
    let mut builder = ProcessBuilder::new()
        .arg(program_name(options))
        .limits(qyv_wasi::Limits::with_fds(granted.limits.fds))
        .memory_budget(memory.clone())
        .services(way_out.as_ref().is_some_and(WayOut::connects));
    for argument in target.app.args.iter().chain(&options.arguments) {
        builder = builder.arg(argument);
    }
    for (name, value) in environment(&target, &granted, options)? {
        builder = builder.env(&name, &value);
    }
    for place in &files.places {
        let node = files.vfs.open_root(place).map_err(Failure::own)?;
        builder = builder.preopen(place, node);
    }
    // An app without files would fail in its libc without a word; a closed root tells what was denied. A bare module asks
    // for nothing in a manifest, and gets what other runtimes give it.
    let bare = matches!(target.origin, target::Origin::Module);
    if !bare && !files.places.iter().any(|place| place == "/") {
        builder = builder.deny_root();
    }
    let process = builder
        .vfs(files.vfs)
        .build()
        .map_err(|error| Failure::refused(format!("the arguments or the environment do not fit: {error}")))?;
    let outside = way_out.as_ref().map(|way_out| way_out.outside(granted.limits.fds, &memory));
    let stdio = stdio(options);
    let start = Start { process, stdio, memory, outside, interrupt, watchdog: Some(&watchdog) };
    program.run(start).map_err(|error| {
        let app = (!matches!(target.origin, target::Origin::Module)).then_some(&target.app);
        Failure::of_program(&look::program_of(&options.app, app), error)
    })
}

/// The guest's first argument: the name of what was run, without its folder.
fn program_name(options: &Run) -> String {
    let name = options.app.file_name().and_then(|name| name.to_str());
    name.unwrap_or("app").to_owned()
}

fn environment(target: &Target, granted: &Capabilities, options: &Run) -> Result<Vec<(String, String)>> {
    let mut variables: Vec<(String, String)> =
        target.app.env.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    for name in &granted.env_from {
        let name = name.as_str();
        if options.environment.iter().any(|(given, _)| given == name) {
            continue;
        }
        let value = std::env::var(name).map_err(|_| {
            Failure::refused(format!("the app wants `{name}` of this environment, and it is not set"))
                .hint(format!("set it, or give it with `--env {name}=VALUE`"))
        })?;
        variables.push((name.to_owned(), value));
    }
    for (name, value) in &options.environment {
        variables.retain(|(other, _)| other != name);
        variables.push((name.clone(), value.clone()));
    }
    Ok(variables)
}

fn stdio(options: &Run) -> Stdio {
    let mut stdio = Stdio::default();
    if !options.raw {
        for stream in [&mut stdio.stdout, &mut stdio.stderr] {
            if stream.kind == StreamKind::Terminal {
                *stream = stream.clone().through(filtered);
            }
        }
    }
    stdio
}

fn filtered(sink: Sink) -> Sink {
    Arc::new(Mutex::new(TerminalFilter::new(SinkWriter(sink))))
}

/// Writes to a shared sink.
struct SinkWriter(Sink);

impl std::io::Write for SinkWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).flush()
    }
}
