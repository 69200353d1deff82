//! The last lines of the logger as a web page: `front SOCKET`, a listening socket of its manifest.
//!
//! It answers `/`, `/logs.txt` and `/healthz`, over HTTP/1.1 by hand: what a program without a library has to do.

mod http;

use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use qyv::net::{Connection, Framing, Listener, listen, try_connect};
use qyv::task::timeout;

/// How long a browser may think, and a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are served at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;

/// How many lines are shown.
const LINES: &str = "20";

fn main() -> Result<(), qyv::Error> {
    let socket = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:8080".to_owned());
    let listener = Rc::new(listen(socket)?.framing(Framing::Stream));
    for _ in 1..CONNECTIONS_MAX {
        qyv::spawn(serve_all(listener.clone()));
    }
    qyv::block_on(serve_all(listener))
}

/// Serves one connection after the other.
async fn serve_all(listener: Rc<Listener>) -> Result<(), qyv::Error> {
    loop {
        let browser = listener.accept().await?;
        if let Err(error) = serve(&browser).await {
            eprintln!("front: {error}");
        }
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(browser: &Connection) -> Result<(), qyv::Error> {
    let mut arrived = Vec::new();
    loop {
        let (response, more) = match http::parse(&arrived) {
            Some(Ok((request, length))) => {
                arrived.drain(..length);
                let response = timeout(PATIENCE, answer(&request)).await;
                (
                    response.unwrap_or_else(|| Response::text(504, "the logger takes too long\n")),
                    request.keep_alive,
                )
            }
            Some(Err(status)) => (Response::text(status, "this is not understood here\n"), false),
            None => match timeout(PATIENCE, browser.recv()).await {
                Some(Ok(Some(bytes))) => {
                    arrived.extend_from_slice(&bytes);
                    continue;
                }
                Some(Ok(None)) | None => return Ok(()),
                Some(Err(error)) => return Err(error),
            },
        };
        browser.send(response.bytes(more)).await?;
        if !more {
            return browser.finish().await;
        }
    }
}

async fn answer(request: &Request) -> Response {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Response::text(405, "only GET and HEAD\n");
    }
    let response = match request.path.as_str() {
        "/healthz" => Response::text(200, "ok\n"),
        "/" | "/logs.txt" => match last_lines().await {
            Ok(lines) if request.path == "/" => Response::page(&lines),
            Ok(lines) => Response::text(200, lines.concat()),
            Err(error) => Response::text(503, format!("{error}\n")),
        },
        _ => Response::text(404, "there is nothing here\n"),
    };
    if request.method == "HEAD" { response.without_body() } else { response }
}

async fn last_lines() -> Result<Vec<String>, qyv::Error> {
    let logs = try_connect("service://logs").await?;
    logs.send(LINES).await?;
    let mut lines = Vec::new();
    while let Some(line) = logs.recv_text().await? {
        lines.push(line + "\n");
    }
    Ok(lines)
}
