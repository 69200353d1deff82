//! Which host answers which interface.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::p2::bindings as http;
use wasmtime_wasi_io::bindings::wasi::io;

use super::bindings::{preopens, sockets, types};
use super::filesystem::HasFiles;
use super::network::HasNetwork;
use super::state::ComponentView;

/// Every interface that is linked, without its version (all 0.2). `check` refuses the others by name.
pub(super) const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Names the resource table to the linker, for `wasi:io`.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links all of `wasi:cli/imports` and `wasi:http/proxy` 0.2.
///
/// # Errors
///
/// When the linker already has one of the interfaces.
pub fn add_to_linker<T: ComponentView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    link_io(linker)?;
    link_cli(linker)?;
    link_sockets(linker)?;
    link_http(linker)?;
    let l = linker;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(l, |t| t.component().clocks())?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(l, |t| t.component().clocks())?;
    random::random::add_to_linker::<T, WasiRandom>(l, |t| t.component().ctx().ctx.random())?;
    random::insecure::add_to_linker::<T, WasiRandom>(l, |t| t.component().ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(l, |t| t.component().ctx().ctx.random())?;
    preopens::add_to_linker::<T, HasFiles>(l, |t| t.component().files())?;
    types::add_to_linker::<T, HasFiles>(l, |t| t.component().files())
}

fn link_io<T: ComponentView>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<T, HasTable>(l, |t| t.component().table())?;
    io::poll::add_to_linker::<T, HasTable>(l, |t| t.component().table())?;
    io::streams::add_to_linker::<T, HasTable>(l, |t| t.component().table())
}

fn link_cli<T: ComponentView>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    cli::exit::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::environment::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::stdin::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::stdout::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::stderr::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(l, |t| t.component().cli())
}

fn link_sockets<T: ComponentView>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut options = sockets::network::LinkOptions::default();
    // Otherwise a program cannot tell why a connection failed.
    options.network_error_code(true);
    sockets::network::add_to_linker::<T, HasNetwork>(l, &options, |t| t.component().network())?;
    sockets::instance_network::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())?;
    sockets::tcp_create_socket::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())?;
    sockets::tcp::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())?;
    sockets::udp_create_socket::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())?;
    sockets::udp::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())?;
    sockets::ip_name_lookup::add_to_linker::<T, HasNetwork>(l, |t| t.component().network())
}

fn link_http<T: ComponentView>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    let options = http::LinkOptions::default();
    http::http::outgoing_handler::add_to_linker::<T, WasiHttp>(l, |t| t.component().http())?;
    http::http::types::add_to_linker::<T, WasiHttp>(l, &(&options).into(), |t| t.component().http())
}
