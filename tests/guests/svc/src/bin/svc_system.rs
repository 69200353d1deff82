//! Starts programs and looks at apps through the SDK: as itself, and as its own child.

use std::io::Read as _;
use std::process::ExitCode;

use qyv::exec::{Command, Printed};
use qyv::system::{self, Failure, RefusalKind};
use qyv::{Wait, block_on};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("shout") => shout(),
        Some("wait") => loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        },
        _ => match block_on(parent()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                println!("failed: {failure}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The child: its input in capitals, and 1.
fn shout() -> ExitCode {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        eprint!("{error}");
    }
    print!("{}", text.to_uppercase());
    eprint!("{}", text.len());
    // The failure that components can tell.
    ExitCode::FAILURE
}

async fn parent() -> Result<(), Failure> {
    // More than the pipes between the two hold, both ways.
    let long = "a word ".repeat(60_000);
    let output = Command::own().arg("shout").input(long.as_bytes()).output().await?;
    println!("long: {} {}", output.exit.code, output.stdout == long.to_uppercase().as_bytes());
    println!("stderr: {}", String::from_utf8_lossy(&output.stderr));

    let mut child = Command::own().arg("shout").env("A", "b").spawn().await?;
    child.write("spoken").await?;
    child.finish().await?;
    println!("wait: {}", child.wait().await?.code);
    let (mut said, mut exit) = (Vec::new(), None);
    while exit.is_none() {
        match child.read().await? {
            Ok(Printed::Stdout(bytes)) => said.extend(bytes),
            Ok(Printed::Stderr(_)) => {}
            Err(end) => exit = Some(end),
        }
    }
    println!("said: {} {:?}", String::from_utf8_lossy(&said), exit.map(|exit| exit.cause));

    let mut endless = Command::own().arg("wait").spawn().await?;
    endless.kill().await?;
    println!("killed: {}", endless.wait().await?.cause);

    // Without `async`, and what is not granted.
    let system = system::connect().wait()?;
    let names: Vec<String> = system.apps().wait()?.into_iter().map(|app| app.name).collect();
    println!("apps: {}", names.join(" "));
    match system.stop(&names[0]).wait() {
        Err(Failure::Refused(refusal)) if refusal.kind() == RefusalKind::Denied => {
            println!("stop: {refusal}")
        }
        other => println!("stop: {other:?}"),
    }
    match Command::app("other").output().await {
        Err(Failure::Refused(refusal)) => println!("other: {:?}", refusal.kind()),
        other => println!("other: {other:?}"),
    }
    Ok(())
}
