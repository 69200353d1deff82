//! Ten thousand instances that wait.

use anyhow::{Result, ensure};

use super::deploy::service;
use super::host::App;
use super::table::{Goal, Table};
use super::{Bench, rest};
use crate::bench::report::Unit;

/// Apps, and replicas of each.
const APPS: u32 = 10;
const REPLICAS: u32 = 1000;

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let host = bench.host()?;
    let folder = host.folder("idle")?;
    let program = bench.guest("bench_service");
    let before = host.usage()?;
    for index in 0..APPS {
        let name = format!("idle-{index}");
        let manifest = service(&name, &format!(", instances: {REPLICAS}"));
        let manifest = host.app(&folder, &App { name: &name, program: &program, manifest: &manifest })?;
        host.deploy(&manifest, &["--replicas", &REPLICAS.to_string()])?;
    }
    let all = f64::from(APPS * REPLICAS);
    let running = host.get("/v1/info")?["instances"].as_f64();
    ensure!(running == Some(all), "{running:?} instances run");
    let share = rest(&host, bench.options.watch())?;
    let after = host.usage()?;
    let each = f64::from(after.pss.saturating_sub(before.pss)) / all;
    table.add("10,000 idle: memory of each (PSS)", Unit::Kibibytes, each, Goal::AtMost(256.0));
    table.add("10,000 idle: processor, of one core", Unit::Percent, share, Goal::AtMost(2.0));
    Ok(())
}
