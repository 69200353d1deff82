//! Makes the bindings of `wasi:filesystem` and `wasi:sockets` out of the interface text that the `wasmtime-wasi` package carries, and tells
//! the crate which target it is built for: native code in the cache is bound to it.
//!
//! The text is read where cargo keeps that package: what is implemented here is, word for word, the version that
//! the linked `wasmtime-wasi` speaks, and nothing is copied by hand. Cargo itself is asked for the place, because
//! only it knows about vendored or patched sources.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The package that carries the interface text, and where in it.
const PACKAGE: &str = "wasmtime-wasi";
const WIT: &str = "src/p2/wit";

fn main() -> Result<(), Box<dyn Error>> {
    let metadata = metadata()?;
    let wit = wit_dir(&metadata).ok_or_else(|| format!("cargo metadata lists no package `{PACKAGE}`"))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (package, replaced) in [("filesystem", FILESYSTEM), ("sockets", SOCKETS)] {
        if !wit.join(format!("deps/{package}.wit")).is_file() {
            return Err(format!("`{}` has no `deps/{package}.wit`: was it moved?", wit.display()).into());
        }
        fs::write(out.join(format!("wasi_{package}.rs")), bindings(&wit, package, replaced))?;
    }

    println!("cargo::rustc-env=QYVOL_TARGET={}", env::var("TARGET")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", wit.display());
    if let Some(root) = metadata["workspace_root"].as_str() {
        println!("cargo::rerun-if-changed={}", Path::new(root).join("Cargo.lock").display());
    }
    Ok(())
}

/// What cargo knows of the locked packages. Asked without the network first: after `cargo fetch` that is enough. A
/// build that downloaded only its own packages needs the second question.
fn metadata() -> Result<Value, Box<dyn Error>> {
    let ask = |offline: &[&str]| {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version=1", "--locked", "--filter-platform"])
            .arg(env::var_os("TARGET").unwrap_or_default())
            .args(offline)
            .current_dir(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into()))
            .output()
    };
    let mut answer = ask(&["--offline"])?;
    if !answer.status.success() {
        answer = ask(&[])?;
    }
    if !answer.status.success() {
        let why = String::from_utf8_lossy(&answer.stderr).into_owned();
        return Err(
            format!("`cargo metadata --locked` failed; `cargo fetch --locked` may mend it:\n{why}").into()
        );
    }
    Ok(serde_json::from_slice(&answer.stdout)?)
}

fn wit_dir(metadata: &Value) -> Option<PathBuf> {
    let packages = metadata["packages"].as_array()?;
    let package = packages.iter().find(|package| package["name"] == PACKAGE)?;
    Some(Path::new(package["manifest_path"].as_str()?).parent()?.join(WIT))
}

/// What the bindings of `wasi:filesystem` take from elsewhere.
const FILESYSTEM: &str = r#"
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::component::error::FsError,
    },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem/types.descriptor": crate::component::descriptor::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::component::descriptor::EntryStream,
    },"#;

/// What the bindings of `wasi:sockets` take from elsewhere.
const SOCKETS: &str = r#"
    trappable_error_type: {
        "wasi:sockets/network.error-code" => crate::component::network::SocketError,
    },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:sockets/network.network": crate::component::network::Network,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::component::network::Addresses,
        "wasi:sockets/tcp.tcp-socket": crate::component::tcp::TcpSocket,
        "wasi:sockets/udp.udp-socket": crate::component::udp::UdpSocket,
        "wasi:sockets/udp.incoming-datagram-stream": crate::component::network::Never,
        "wasi:sockets/udp.outgoing-datagram-stream": crate::component::network::Never,
    },"#;

/// An invocation of `bindgen!`. Its `path` must be a literal, which is why the invocation is generated.
fn bindings(wit: &Path, package: &str, replaced: &str) -> String {
    format!(
        r#"wasmtime::component::bindgen!({{
    path: {wit:?},
    world: "wasi:{package}/imports",
    imports: {{ default: trappable }},
    require_store_data_send: true,{replaced}
}});
"#
    )
}
