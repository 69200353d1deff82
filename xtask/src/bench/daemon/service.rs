//! A message of 1 KiB from one app to another and back: within a worker, across workers, and over loopback TCP between two
//! processes of wasmtime.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Bench;
use super::host::{App, Host};
use super::table::{Goal, Table};
use crate::bench::report::Unit;
use crate::shell::text;

/// Messages of one run, and the bytes of each.
const MESSAGES: usize = 20_000;
const BYTES: usize = 1024;

/// The port that the component's service has, whatever the host makes of it.
const PORT: u16 = 7070;

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let host = bench.host()?;
    let (p1, p2) = (bench.guest("bench_echo"), bench.component("bench_echo"));
    let rival = bench.wasmtime.as_deref().map(|wasmtime| Rival::start(wasmtime, &p2)).transpose()?;
    let address = format!("127.0.0.1:{PORT}");
    for (name, program, isolation) in [
        ("near", &p1, "shared"),
        ("far", &p1, "process"),
        ("near-p2", &p2, "shared"),
        ("far-p2", &p2, "process"),
    ] {
        let folder = host.folder(name)?;
        let port = if name.ends_with("p2") { format!(", port: {PORT}") } else { String::new() };
        let manifest = format!(
            "type: service\nargs: [server, '{address}']\nservices: [{{name: {name}{port}, proto: stream}}]\n\
             isolation: {isolation}\nlimits: {{memory: 32MiB}}\n"
        );
        let manifest = host.app(&folder, &App { name, program, manifest: &manifest })?;
        host.deploy(&manifest, &[])?;
    }
    let mut series: [Vec<f64>; 5] = Default::default();
    for run in 0..bench.options.runs() {
        let client = |name: &str, program: &Path| dial(&host, run, name, program);
        let [near, far, near_p2, far_p2, theirs] = &mut series;
        // The rival's turn is first or last, so that neither always finds the machine as the other left it.
        if let Some(rival) = rival.as_ref().filter(|_| run % 2 == 0) {
            theirs.push(rival.dial(&p2)?);
        }
        near.push(client("near", &p1)?);
        far.push(client("far", &p1)?);
        near_p2.push(client("near-p2", &p2)?);
        far_p2.push(client("far-p2", &p2)?);
        if let Some(rival) = rival.as_ref().filter(|_| run % 2 == 1) {
            theirs.push(rival.dial(&p2)?);
        }
    }
    let [near, far, near_p2, far_p2, theirs] = series;
    let mut row = |what: &str, ours: &[f64], theirs: &[f64], goal| {
        table.beside(
            &format!("service://, 1 KiB there and back, {what}: p50"),
            Unit::Microseconds,
            ours,
            theirs,
            goal,
        );
    };
    row("one worker, preview 1", &near, &[], Goal::AtMost(20.0));
    row("two workers, preview 1", &far, &[], Goal::AtMost(60.0));
    row("one worker, components", &near_p2, &theirs, Goal::RatioAtMost(0.2));
    row("two workers, components", &far_p2, &theirs, Goal::AtMost(60.0));
    Ok(())
}

/// Deploys a client that ends by itself. Returns what it measured, in microseconds.
fn dial(host: &Host, run: usize, service: &str, program: &Path) -> Result<f64> {
    let name = format!("client-{service}-{run}");
    let folder = host.folder(&name)?;
    let component = service.ends_with("p2");
    let (address, dialled) = match component {
        true => (format!("{service}.svc:{PORT}"), format!("service://{service}/{PORT}")),
        false => (service.to_owned(), format!("service://{service}")),
    };
    let manifest = format!(
        "type: command\nargs: [client, '{address}', '{MESSAGES}', '{BYTES}']\n\
         permissions: {{net: {{connect: ['{dialled}']}}}}\nlimits: {{memory: 32MiB}}\n"
    );
    let manifest = host.app(&folder, &App { name: &name, program, manifest: &manifest })?;
    host.deploy(&manifest, &["--grant", "all"])?;
    let logged = host.logs(&name)?;
    host.remove(&name)?;
    median_of(&logged).with_context(|| format!("`{name}` printed `{logged}`"))
}

/// The median that a client printed, in microseconds.
fn median_of(printed: &str) -> Option<f64> {
    let line = printed.lines().find_map(|line| line.rsplit_once("p50 "))?;
    Some(line.1.trim().parse::<f64>().ok()? / 1e3)
}

/// The same component as a server under wasmtime.
struct Rival<'a> {
    wasmtime: &'a Path,
    server: Child,
    address: String,
}

impl<'a> Rival<'a> {
    fn start(wasmtime: &'a Path, component: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = command(wasmtime, component);
        let server = command.args(["server", &address]).stdout(Stdio::null()).spawn();
        let server = server.with_context(|| format!("start `{}`", wasmtime.display()))?;
        let rival = Self { wasmtime, server, address };
        let start = Instant::now();
        while std::net::TcpStream::connect(&rival.address).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("the server under wasmtime does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(rival)
    }

    /// A client in another process. Returns what it measured, in microseconds.
    fn dial(&self, component: &Path) -> Result<f64> {
        let (messages, bytes) = (MESSAGES.to_string(), BYTES.to_string());
        let mut command = command(self.wasmtime, component);
        let printed = text(command.args(["client", &self.address, &messages, &bytes]))?;
        median_of(&printed).with_context(|| format!("the client under wasmtime printed `{printed}`"))
    }
}

impl Drop for Rival<'_> {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn command(wasmtime: &Path, component: &Path) -> Command {
    let mut command = Command::new(wasmtime);
    command.args(["run", "-C", "cache=y", "-S", "inherit-network"]).arg(component).stdin(Stdio::null());
    command
}
