//! `cargo xtask bench daemon`: what deployed apps cost and how they feel each other; where there is a rival, beside
//! wasmtime in the same run.

mod api;
mod deploy;
mod host;
mod http;
mod idle;
mod load;
mod native;
mod quiet;
mod service;
mod share;
mod table;
mod usage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{find_wasmtime, release_build};
use crate::setup;
use crate::shell::{cargo, root, run as start, target_folder};
use host::{App, Host};
use table::Table;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The wasmtime to compare with; by default the one in `PATH`
    #[arg(long, value_name = "FILE")]
    wasmtime: Option<PathBuf>,
    /// Measure this `qyvol` rather than a release build of this checkout
    #[arg(long, value_name = "FILE")]
    qyvol: Option<PathBuf>,
    /// Measure this part only; may be repeated
    #[arg(long, value_name = "PART")]
    part: Vec<Part>,
    /// Runs of which the table shows the median
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Seconds for which shares and resting processes are watched
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..))]
    seconds: u8,
    /// Print one line of JSON in place of the table
    #[arg(long)]
    json: bool,
}

impl Options {
    fn runs(&self) -> usize {
        self.runs.into()
    }

    /// How long something is watched that goes on by itself.
    fn watch(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// From a manifest to an app that is ready; 1,000 apps
    Deploy,
    /// 10,000 instances that wait
    Idle,
    /// Messages between apps
    Service,
    /// How the processor is shared
    Share,
    /// An HTTP component
    Http,
}

/// What the parts share.
struct Bench<'a> {
    options: &'a Options,
    qyvol: PathBuf,
    wasmtime: Option<PathBuf>,
    /// The folder of compiled guests, with a folder for each target in it.
    guests: PathBuf,
    /// The HTTP component, when this checkout has one.
    hello: Option<PathBuf>,
    cache: tempfile::TempDir,
}

/// Measures one part.
type Measure = fn(&Bench<'_>, &mut Table) -> Result<()>;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let guests = target_folder().join("bench-guests");
    let folder = root().join("xtask/bench-guests");
    start(&mut setup::guest_toolchain()?.build(&folder, &guests))?;
    component(&folder, &guests, &["--bin", "bench_echo"])?;
    let hello = build_hello()?;
    let bench = Bench {
        options,
        qyvol: release_build(options.qyvol.as_deref())?,
        wasmtime: find_wasmtime(options.wasmtime.as_deref())?,
        guests,
        hello,
        cache: tempfile::tempdir().context("make a folder for compiled code")?,
    };
    quiet::shield(std::process::id());
    let mut table = Table::default();
    let parts: [(Part, Measure); 5] = [
        (Part::Deploy, deploy::measure),
        (Part::Idle, idle::measure),
        (Part::Service, service::measure),
        (Part::Share, share::measure),
        (Part::Http, http::measure),
    ];
    for (part, measure) in parts {
        if options.part.is_empty() || options.part.contains(&part) {
            measure(&bench, &mut table)?;
        }
    }
    if options.json {
        table.print_json();
    } else {
        table.print();
    }
    Ok(())
}

fn build_hello() -> Result<Option<PathBuf>> {
    let folder = root().join("examples/hello-http");
    if !folder.is_dir() {
        eprintln!("there is no `examples/hello-http`: what is measured with it is left out");
        return Ok(None);
    }
    let target = target_folder().join("examples-wasm");
    component(&folder, &target, &[])?;
    Ok(Some(target.join("wasm32-wasip2/release/hello_http.wasm")))
}

/// Builds components.
fn component(folder: &Path, target: &Path, more: &[&str]) -> Result<()> {
    let mut command = cargo("build --release --locked --quiet --target wasm32-wasip2");
    start(command.current_dir(folder).arg("--target-dir").arg(target).args(more))
}

impl Bench<'_> {
    /// A daemon of its own for each measurement.
    fn host(&self) -> Result<Host> {
        // Made by the program itself, which lets nobody else into it.
        Host::start(&self.qyvol, &self.cache.path().join("cache"))
    }

    /// A guest for preview 1.
    fn guest(&self, name: &str) -> PathBuf {
        self.guests.join("wasm32-wasip1/release").join(name).with_extension("wasm")
    }

    /// The same as a component.
    fn component(&self, name: &str) -> PathBuf {
        self.guests.join("wasm32-wasip2/release").join(name).with_extension("wasm")
    }

    /// Deploys an HTTP component at an address of its own.
    fn serve_hello(&self, host: &Host, component: &Path) -> Result<SocketAddr> {
        let address = http::free_address()?;
        let manifest = format!(
            "type: http\npermissions: {{net: {{listen: ['tcp://{address}']}}}}\nlimits: {{memory: 64MiB}}\n"
        );
        let folder = host.folder("hello")?;
        let app = App { name: "hello", program: component, manifest: &manifest };
        host.deploy(&host.app(&folder, &app)?, &["--grant", "all"])?;
        Ok(address)
    }
}

/// The part of one core that all processes of a host use while nothing is asked of them, in percent.
fn rest(host: &Host, time: Duration) -> Result<f64> {
    // What was begun comes to its end first.
    std::thread::sleep(time / 4);
    let before = host.usage()?;
    std::thread::sleep(time);
    let after = host.usage()?;
    Ok(after.cpu.saturating_sub(before.cpu).as_secs_f64() / time.as_secs_f64() * 100.0)
}
