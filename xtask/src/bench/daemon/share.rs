//! How the processor is shared, and what an app feels of its neighbours.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Bench;
use super::host::{App, Host};
use super::table::{Goal, Table};
use super::{load, native};
use crate::bench::report::{Unit, median};

/// Apps of each weight: one alone could not use its share, which is more than one processor.
const OF_EACH_WEIGHT: usize = 4;
const WEIGHTS: [u16; 3] = [100, 200, 400];

/// Apps of one weight.
const EQUALS: usize = 100;

/// Loops beside the app whose answers are timed.
const RUNAWAYS: usize = 4;
/// Requests a second, sent whether or not earlier ones were answered.
const RATE: u32 = 200;
/// How long a turn lasts at most: `SLICE_NS` of `core/sched`.
const SLICE: Duration = Duration::from_millis(3);

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    weights(bench, table)?;
    equals(bench, table)?;
    neighbours(bench, table)
}

fn weights(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let host = bench.host()?;
    let mut apps = Vec::new();
    for weight in WEIGHTS {
        apps.extend((0..OF_EACH_WEIGHT).map(|index| (format!("w{weight}-{index}"), weight)));
    }
    let used = used(&host, bench, &apps, bench.options.watch())?;
    let all: f64 = used.iter().map(|(_, used)| used).sum();
    let weighed: f64 = WEIGHTS.iter().map(|weight| f64::from(*weight)).sum();
    let mut worst = 0.0_f64;
    for weight in WEIGHTS {
        let part: f64 = used.iter().filter(|(other, _)| *other == weight).map(|(_, used)| used / all).sum();
        worst = worst.max((part * weighed / f64::from(weight) - 1.0).abs() * 100.0);
    }
    table.add("weights 1:2:4: most off its share", Unit::Percent, worst, Goal::AtMost(5.0));
    Ok(())
}

fn equals(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let host = bench.host()?;
    let apps: Vec<_> = (0..EQUALS).map(|index| (format!("equal-{index}"), 100)).collect();
    let used = used(&host, bench, &apps, bench.options.watch())?;
    let (sum, squares) =
        used.iter().fold((0.0, 0.0), |(sum, squares), (_, used)| (sum + used, squares + used * used));
    let index = sum * sum / (squares * f64::from(u16::try_from(EQUALS).unwrap_or(u16::MAX)));
    table.add("100 equal apps: Jain's index", Unit::Number, index, Goal::AtLeast(0.99));
    Ok(())
}

/// The processor time that loops of these weights get in `time`.
fn used(host: &Host, bench: &Bench<'_>, apps: &[(String, u16)], time: Duration) -> Result<Vec<(u16, f64)>> {
    let folder = host.folder("loops")?;
    loops(host, bench, &folder, apps)?;
    host.deploy(&folder, &[])?;
    std::thread::sleep(Duration::from_millis(500));
    let before = host.cpu()?;
    std::thread::sleep(time);
    let after = host.cpu()?;
    let used = |(name, weight): &(String, u16)| {
        let grown = after.get(name)? - before.get(name)?;
        Some((*weight, Duration::from_nanos(grown).as_secs_f64()))
    };
    apps.iter().map(used).collect::<Option<_>>().context("a loop is not among what runs")
}

fn loops(host: &Host, bench: &Bench<'_>, folder: &std::path::Path, apps: &[(String, u16)]) -> Result<()> {
    let program = bench.guest("bench_loop");
    for (name, weight) in apps {
        let manifest = format!("type: service\nscheduler: {{weight: {weight}}}\nlimits: {{memory: 16MiB}}\n");
        host.app(folder, &App { name, program: &program, manifest: &manifest })?;
    }
    Ok(())
}

/// Requests at a fixed rate to an app alone, and beside loops.
fn neighbours(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let Some(component) = &bench.hello else { return Ok(()) };
    let host = bench.host()?;
    let address = bench.serve_hello(&host, component)?;
    let late = |address| -> Result<Vec<f64>> {
        // Once unmeasured.
        load::open(address, RATE, Duration::from_secs(1))?;
        let runs = 0..bench.options.runs();
        runs.map(|_| Ok(load::open(address, RATE, bench.options.watch() / 2)?.milliseconds(0.99))).collect()
    };
    let alone = late(address)?;
    let native = native::beside(RUNAWAYS, late)?;
    let folder = host.folder("runaways")?;
    let apps: Vec<_> = (0..RUNAWAYS).map(|index| (format!("runaway-{index}"), 100)).collect();
    loops(&host, bench, &folder, &apps)?;
    host.deploy(&folder, &[])?;
    let beside = late(address)?;
    let goal =
        median(&alone).map_or(Goal::None, |alone| Goal::AtMost(alone + 2.0 * SLICE.as_secs_f64() * 1e3));
    let mut row = |what: &str, late: &[f64], goal| table.beside(what, Unit::Milliseconds, late, &[], goal);
    row("200 requests/s, unloaded: p99", &alone, Goal::None);
    row("200 requests/s beside four loops: p99", &beside, goal);
    row("200 requests/s to a native server beside four native loops: p99", &native, Goal::None);
    Ok(())
}
