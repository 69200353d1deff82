//! `examples/polyglot`, built and deployed as its page says: what it answers is what stands there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::places;
use crate::qyvol::{PATIENCE, Qyvol};
use crate::stage::qyvol_build;

/// The apps, one after the other.
const STAGES: [&str; 5] = ["front", "parse", "filter", "stats", "report"];
/// Where its manifest serves; here another port is taken, of which nobody else knows.
const ADDRESS: &str = "127.0.0.1:8090";

/// Builds, deploys and asks it.
///
/// `Some` says which toolchain is not there.
///
/// # Errors
///
/// When it does not build, deploy or answer as its page says.
pub fn example(qyvol: &Qyvol) -> Result<Option<String>> {
    let source = places::root().join("examples/polyglot");
    let page = fs::read_to_string(source.join("README.md"))?;
    let folder = tempfile::tempdir()?;
    let address = free_address()?;
    for stage in STAGES {
        let made = source.join(stage);
        if let Some(absent) = qyvol_build(qyvol, &made)? {
            return Ok(Some(absent));
        }
        stage_copy(&made, &folder.path().join(stage), stage, address)?;
    }
    let apps: Vec<String> = STAGES.map(|stage| folder.path().join(stage).display().to_string()).to_vec();
    let mut deploy = vec!["deploy", "--grant", "all"];
    deploy.extend(apps.iter().map(String::as_str));
    let asked = qyvol.must(folder.path(), &deploy).and_then(|_| ask(address, &source));
    // It ends, whatever became of it.
    qyvol.must(folder.path(), &["daemon", "stop", "--apps"])?;
    for answer in asked? {
        ensure!(page.contains(&answer), "the page does not show what came out:\n{answer}");
    }
    Ok(None)
}

/// An address that nobody listens at now.
fn free_address() -> Result<SocketAddr> {
    // Of another network than the one that programs take ports of by themselves.
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn stage_copy(made: &Path, place: &PathBuf, stage: &str, address: SocketAddr) -> Result<()> {
    fs::create_dir(place)?;
    let manifest = format!("{stage}.qyv");
    let text = fs::read_to_string(made.join(&manifest))?;
    fs::write(place.join(&manifest), text.replace(ADDRESS, &address.to_string()))?;
    let module = format!("{stage}.wasm");
    fs::copy(made.join(&module), place.join(&module)).with_context(|| format!("there is no `{module}`"))?;
    Ok(())
}

/// What it answers to the page's two requests.
fn ask(address: SocketAddr, source: &Path) -> Result<[String; 2]> {
    let log = fs::read_to_string(source.join("sample.log"))?;
    let sent = request(address, &format!("POST /logs HTTP/1.1\r\nContent-Length: {}\r\n", log.len()), &log)?;
    let report = request(address, "GET /report HTTP/1.1\r\n", "")?;
    Ok([sent, report])
}

/// The body of the answer to one request.
fn request(address: SocketAddr, head: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{head}Host: {address}\r\nConnection: close\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{answer}");
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        chunks(body)
    } else {
        Ok(body.to_owned())
    }
}

/// What is in a chunked body.
fn chunks(mut body: &str) -> Result<String> {
    let mut text = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n").context("a chunk has no length")?;
        let length = usize::from_str_radix(length, 16)?;
        text.push_str(rest.get(..length).context("a chunk is cut off")?);
        if length == 0 {
            return Ok(text);
        }
        body = rest.get(length + 2..).context("a chunk has no end")?;
    }
}
