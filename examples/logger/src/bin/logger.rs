//! Keeps the last lines that came to `service://logger`, and gives them to those who ask `service://logs`.
//!
//! A question is one line with a number; the answer is at most as many lines, the oldest first, and the end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use qyv::net::{Connection, Listener, listen};

/// How many lines are kept.
const LINES_MAX: usize = 1000;

/// How much of a line is kept, in characters.
const LINE_CHARACTERS_MAX: usize = 1000;

type Lines = Rc<RefCell<VecDeque<String>>>;

fn main() -> Result<(), qyv::Error> {
    let lines = Lines::default();
    let (logger, logs) = (listen("logger")?, listen("logs")?);
    qyv::block_on(async {
        let questions = qyv::spawn(serve(logs, lines.clone(), answer));
        serve(logger, lines, keep).await?;
        questions.await
    })
}

/// Gives each connection a task of its own. It ends when nobody can connect any more.
async fn serve<F>(
    listener: Listener,
    lines: Lines,
    handle: fn(Connection, Lines) -> F,
) -> Result<(), qyv::Error>
where
    F: Future<Output = Result<(), qyv::Error>> + 'static,
{
    loop {
        let client = handle(listener.accept().await?, lines.clone());
        qyv::spawn(async {
            if let Err(error) = client.await {
                eprintln!("logger: {error}");
            }
        });
    }
}

/// Keeps what a client sends.
async fn keep(client: Connection, lines: Lines) -> Result<(), qyv::Error> {
    while let Some(line) = client.recv_text().await? {
        println!("{line}");
        let mut lines = lines.borrow_mut();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LINE_CHARACTERS_MAX).collect());
    }
    Ok(())
}

/// Gives a client what it asks for.
async fn answer(client: Connection, lines: Lines) -> Result<(), qyv::Error> {
    // One that only looks whether somebody is there, as a health check does, asks nothing.
    let Some(question) = client.recv_text().await? else { return Ok(()) };
    let count = question.trim().parse().unwrap_or(10);
    let last: Vec<String> = {
        let lines = lines.borrow();
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    };
    for line in last {
        client.send(line).await?;
    }
    Ok(())
}
