//! Answers every request with a line, and a few paths with more. `hello.qyv` deploys it.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | the request's body, as it comes |
//! | `/count?n=BYTES` | so many bytes, in pieces |
//! | `/env?NAME` | a variable of the environment |
//! | any other | `hello from qyvol` |

use wasip2::cli::environment::get_environment;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// Bytes that are written at once; a body takes no more.
const PIECE: usize = 4096;

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        // Who asked may have gone: then nobody misses the rest.
        let _ = match path {
            "/echo" => answer(out, 200, |body| echo(&request, body)),
            "/count" => match query.strip_prefix("n=").and_then(|n| n.parse().ok()) {
                Some(bytes) => answer(out, 200, |body| count(bytes, body)),
                None => answer(out, 400, |body| write(body, b"say how many: /count?n=1000\n")),
            },
            "/env" => match get_environment().into_iter().find(|(name, _)| name == query) {
                Some((_, value)) => answer(out, 200, |body| write(body, value.as_bytes())),
                None => answer(out, 404, |body| write(body, b"there is no such variable\n")),
            },
            _ => answer(out, 200, |body| write(body, b"hello from qyvol\n")),
        };
    }
}

/// Answers with a status and what `fill` writes.
fn answer(
    out: ResponseOutparam,
    status: u16,
    fill: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) -> Result<(), ErrorCode> {
    let headers = Fields::new();
    // Both are well-formed.
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return Err(ErrorCode::InternalError(None)) };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = body.write() else { return Err(ErrorCode::InternalError(None)) };
    let filled = fill(&stream);
    drop(stream);
    // A body that is dropped in place of being finished reaches the client as one that was cut off.
    if filled.is_ok() { OutgoingBody::finish(body, None) } else { Ok(()) }
}

fn write(body: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    for piece in bytes.chunks(PIECE) {
        body.blocking_write_and_flush(piece)?;
    }
    Ok(())
}

fn count(bytes: usize, body: &OutputStream) -> Result<(), StreamError> {
    let piece = [b'.'; PIECE];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PIECE);
        body.blocking_write_and_flush(&piece[..now])?;
        left -= now;
    }
    Ok(())
}

fn echo(request: &IncomingRequest, body: &OutputStream) -> Result<(), StreamError> {
    let Ok(incoming) = request.consume() else { return Err(StreamError::Closed) };
    let Ok(stream) = incoming.stream() else { return Err(StreamError::Closed) };
    loop {
        match stream.blocking_read(PIECE as u64) {
            Ok(bytes) => write(body, &bytes)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
