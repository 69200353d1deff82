//! Clients that take their time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::http::body::RequestBody;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

const NEVER: Patience =
    Patience { head: LONG, body: LONG, write: LONG, room: LONG, answer: LONG, linger: LONG };

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// A server that answers with the length of what it was sent, or with a body of so many bytes.
fn run(patience: Patience, answer: usize, client: impl AsyncFnOnce(DuplexStream, watch::Sender<bool>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(1024);
        let (drain, draining) = watch::channel(false);
        let service = service_fn(async |request: Request<Incoming>| {
            let body = RequestBody::new(request.into_body(), patience.body);
            let text = match body.collect().await {
                Ok(body) => format!("{} bytes", body.to_bytes().len()),
                Err(error) => error.to_string(),
            };
            let text = if answer > 0 { "x".repeat(answer) } else { text };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        });
        let mut served = pin!(serve(far, &patience, draining, service));
        let mut asked = pin!(client(near, drain));
        // Both end, in any order.
        let (mut one, mut other) = (false, false);
        std::future::poll_fn(|context| {
            one = one || served.as_mut().poll(context).is_ready();
            other = other || asked.as_mut().poll(context).is_ready();
            if one && other { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
}

/// All that comes until the other side closes.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// Reads until the text ends so.
async fn until(stream: &mut DuplexStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

#[test]
fn a_head_that_does_not_come_closes_the_connection() {
    for begun in [&b""[..], b"GET / HTTP/1.1\r\nhost"] {
        run(Patience { head: SHORT, ..NEVER }, 0, async |mut stream, _drain| {
            stream.write_all(begun).await.unwrap();
            assert!(!rest(&mut stream).await.contains("200"));
        });
    }
    // It is given anew for each request.
    run(Patience { head: SHORT, ..NEVER }, 0, async |mut stream, _drain| {
        stream.write_all(ASK).await.unwrap();
        until(&mut stream, "0 bytes").await;
        stream.write_all(&ASK[..10]).await.unwrap();
        rest(&mut stream).await;
    });
}

#[test]
fn a_body_that_does_not_come_is_told_to_its_reader() {
    run(Patience { body: SHORT, ..NEVER }, 0, async |mut stream, _drain| {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        until(&mut stream, "connection read timeout").await;
    });
}

#[test]
fn an_answer_that_is_not_taken_closes_the_connection() {
    run(Patience { write: SHORT, ..NEVER }, 1 << 20, async |mut stream, drain| {
        stream.write_all(ASK).await.unwrap();
        drain.closed().await;
        assert!(rest(&mut stream).await.len() < 1 << 20);
    });
    // Who reads now and then gets all of it.
    run(Patience { write: LONG, ..NEVER }, 1 << 20, async |mut stream, _drain| {
        stream.write_all(ASK).await.unwrap();
        stream.write_all(b"").await.unwrap();
        let mut seen = 0;
        while seen < 1 << 20 {
            seen += stream.read(&mut [0; 4096]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_connection_that_drains_takes_one_more_request_or_none() {
    run(Patience { linger: SHORT, ..NEVER }, 0, async |mut stream, drain| {
        stream.write_all(ASK).await.unwrap();
        until(&mut stream, "0 bytes").await;
        drain.send_replace(true);
        assert_eq!(rest(&mut stream).await, "");
    });
    // One that was never used is like one between two requests.
    run(Patience { linger: SHORT, ..NEVER }, 0, async |mut stream, drain| {
        drain.send_replace(true);
        assert_eq!(rest(&mut stream).await, "");
    });
    run(NEVER, 0, async |mut stream, drain| {
        drain.send_replace(true);
        tokio::task::yield_now().await;
        stream.write_all(ASK).await.unwrap();
        until(&mut stream, "0 bytes").await;
    });
    // What is under way ends.
    run(Patience { linger: SHORT, ..NEVER }, 0, async |mut stream, drain| {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab").await.unwrap();
        tokio::task::yield_now().await;
        drain.send_replace(true);
        tokio::time::sleep(SHORT * 3).await;
        stream.write_all(b"cd").await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.contains("connection: close") && answer.ends_with("4 bytes"), "{answer}");
    });
}
