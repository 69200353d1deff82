//! An HTTP component beside `wasmtime serve`: the same component, the same client.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Bench;
use super::load;
use super::quiet;
use super::table::{Goal, Table};
use crate::bench::report::Unit;

/// Clients that ask at the same time.
const CONNECTIONS: usize = 32;

pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let Some(component) = &bench.hello else { return Ok(()) };
    let host = bench.host()?;
    let ours = bench.serve_hello(&host, component)?;
    let rival = bench.wasmtime.as_deref().map(|wasmtime| Rival::start(wasmtime, component)).transpose()?;
    let time = bench.options.watch() / 4;
    let servers = [Some(ours), rival.as_ref().map(|rival| rival.address)];
    let (mut rates, mut late) = ([vec![], vec![]], [vec![], vec![]]);
    for run in 0..=bench.options.runs() {
        // Who goes first changes.
        for turn in 0..2 {
            let server = (run + turn) % 2;
            let Some(address) = servers[server] else { continue };
            let load = load::closed(address, CONNECTIONS, time)?;
            // The first run warms up both.
            if run > 0 {
                rates[server].push(load.rate());
                late[server].push(load.milliseconds(0.99));
            }
        }
    }
    table.beside("HTTP component: requests", Unit::PerSecond, &rates[0], &rates[1], Goal::RatioAtLeast(1.0));
    table.beside("HTTP component: p99", Unit::Milliseconds, &late[0], &late[1], Goal::RatioAtMost(1.0));
    Ok(())
}

/// `wasmtime serve`.
struct Rival {
    server: Child,
    address: SocketAddr,
}

impl Rival {
    fn start(wasmtime: &Path, component: &Path) -> Result<Self> {
        let address = free_address()?;
        // In a session of its own, as our workers are: the kernel may share the processors among sessions.
        let mut command = Command::new("setsid");
        command.arg(wasmtime).args([
            "serve",
            "-S",
            "cli=y",
            "-C",
            "cache=y",
            "-O",
            "pooling-allocator=y",
            "--addr",
            &address.to_string(),
        ]);
        let server =
            command.arg(component).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = server.with_context(|| format!("start `{}`", wasmtime.display()))?;
        let rival = Self { server, address };
        let start = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("`wasmtime serve` does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        quiet::shield(rival.server.id());
        Ok(rival)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An address that nobody listens at just now.
pub(super) fn free_address() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().context("find a free port")
}
