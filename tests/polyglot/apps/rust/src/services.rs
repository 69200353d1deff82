//! Checks 17 to 19: services, through the SDK.

use qyv::net::{listen, try_connect};
use qyv::{Error, ErrorKind};

use crate::Given;
use crate::bytes::{SplitMix64, fnv1a};

/// What is sent in one frame.
const FRAME_BYTES: usize = 100_000;

pub(crate) fn dial(given: &Given) {
    if let Err(error) = qyv::block_on(try_dial(given)) {
        println!("dial failed {error}");
    }
}

async fn try_dial(given: &Given) -> Result<(), Error> {
    let lines = try_connect("service://polyglot-echo").await?;
    lines.send(&given.nonce).await?;
    println!("dial lines {}", lines.recv_text().await?.unwrap_or_default());
    let frames = try_connect("service://polyglot-frames").await?;
    frames.send(&given.nonce).await?;
    println!("dial frames {}", frames.recv_text().await?.unwrap_or_default());
    frames.send(SplitMix64(given.seed).bytes(FRAME_BYTES)).await?;
    let bytes = frames.recv().await?.unwrap_or_default();
    println!("dial bytes {} {:016x}", bytes.len(), fnv1a(&bytes));
    Ok(())
}

pub(crate) fn serve(given: &Given) {
    match qyv::block_on(try_serve(given)) {
        Ok(lines) => println!("serve {lines} {}", given.nonce),
        Err(error) => println!("serve failed {error}"),
    }
}

async fn try_serve(given: &Given) -> Result<usize, Error> {
    let client = listen("polyglot-served")?.accept().await?;
    let mut lines = 0;
    while let Some(line) = client.recv_text().await? {
        client.send(format!("served {line} {}", given.nonce)).await?;
        lines += 1;
    }
    Ok(lines)
}

pub(crate) fn refused(given: &Given) {
    let what = match qyv::block_on(try_connect("service://polyglot-secret")) {
        Ok(_) => "connected",
        Err(error) if error.kind() == ErrorKind::Denied => "denied",
        Err(_) => "other",
    };
    println!("refused {what} {}", given.nonce);
}
