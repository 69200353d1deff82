//! From a manifest to an app that is ready, one at a time and a thousand at once; and what they use while they rest.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::host::App;
use super::table::{Goal, Table};
use super::{Bench, rest};
use crate::bench::report::{Unit, median};

/// Apps of the large deployment.
const MANY: usize = 1000;

/// The service that is deployed: it prints a line and waits for connections that never come. `more` are further limits.
pub(super) fn service(name: &str, more: &str) -> String {
    format!("type: service\nservices: [{{name: {name}}}]\nlimits: {{memory: 16MiB{more}}}\n")
}

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    one(bench, table)?;
    many(bench, table)
}

/// One service at a time, on a daemon that has run such a program before.
fn one(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let host = bench.host()?;
    let folder = host.folder("one")?;
    let program = bench.guest("bench_service");
    let (mut new, mut known, mut answered, mut ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..=bench.options.runs() * 4 {
        let name = format!("one-{run}");
        let manifest =
            host.app(&folder, &App { name: &name, program: &program, manifest: &service(&name, "") })?;
        let sent = host.deploy(&manifest, &[])?;
        let image = host.get(&format!("/v1/apps/{name}"))?["summary"]["image"].clone();
        host.remove(&name)?;
        let stored_before = host.deploy(&manifest, &[])?;
        host.remove(&name)?;
        // The API's part alone: the bundle is stored already.
        let request = json!({ "apps": [{ "bundle": image, "allow_unsigned": true }] });
        let mut events = host.events()?;
        let start = Instant::now();
        host.post("/v1/deploy", &request)?;
        let stored = start.elapsed();
        events.wait(&name, "ready")?;
        let up = start.elapsed();
        // The first one starts a worker, and compiles.
        if run > 0 {
            new.push(milliseconds(sent));
            known.push(milliseconds(stored_before));
            answered.push(milliseconds(stored));
            ready.push(milliseconds(up));
        }
    }
    let row = |table: &mut Table, what: &str, series: &[f64], goal| {
        table.beside(what, Unit::Milliseconds, series, &[], goal);
    };
    row(table, "deploy: the command, to ready", &known, Goal::AtMost(10.0));
    row(table, "deploy: the command, a new bundle, to ready", &new, Goal::AtMost(10.0));
    row(table, "deploy: the API alone, to the durable answer", &answered, Goal::None);
    row(table, "deploy: the API alone, to ready", &ready, Goal::AtMost(10.0));
    Ok(())
}

/// A folder of a thousand manifests by one command, and what they use then.
fn many(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let mut times = Vec::new();
    for run in 0..bench.options.runs().min(3) {
        let host = bench.host()?;
        let folder = host.folder("many")?;
        let program = bench.guest("bench_service");
        for index in 0..MANY {
            let name = format!("many-{index}");
            host.app(&folder, &App { name: &name, program: &program, manifest: &service(&name, "") })?;
        }
        times.push(host.deploy(&folder, &[])?.as_secs_f64());
        if run == 0 {
            let ready = host.get("/v1/info")?["instances"].as_u64().context("no count of instances")?;
            anyhow::ensure!(ready == MANY as u64, "{ready} instances run");
            let share = rest(&host, bench.options.watch())?;
            table.add("1,000 idle: processor, of one core", Unit::Percent, share, Goal::AtMost(1.0));
            let daemon = f64::from(host.daemon_usage()?.rss) / 1024.0;
            table.add("1,000 idle: the daemon, resident", Unit::Mebibytes, daemon, Goal::AtMost(60.0));
        }
    }
    let middle = median(&times).unwrap_or(0.0);
    table.add("deploy: 1,000 services by one command", Unit::Seconds, middle, Goal::AtMost(10.0));
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
