//! What WASI's HTTP asks of a program for a body of text each way.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

/// The largest request that is taken, in bytes.
const BODY_MAX: usize = 1 << 20;
/// Bytes that are moved at once; a body takes no more.
const PIECE: usize = 4096;

/// The text of a request.
pub(crate) fn body(request: &IncomingRequest) -> Result<String, String> {
    let cut = |()| "the request was cut off".to_owned();
    let incoming = request.consume().map_err(cut)?;
    let stream = incoming.stream().map_err(cut)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(PIECE as u64) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err("the request was cut off".to_owned()),
        }
        if bytes.len() > BODY_MAX {
            return Err(format!("more than {BODY_MAX} bytes at once"));
        }
    }
    String::from_utf8(bytes).map_err(|_| "the request is not UTF-8".to_owned())
}

/// Answers with text. Who asked may have gone: then nobody misses it.
pub(crate) fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    // Both are well-formed.
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = body.write() else { return };
    let written = text.as_bytes().chunks(PIECE).try_for_each(|piece| stream.blocking_write_and_flush(piece));
    drop(stream);
    // A body that is dropped in place of being finished reaches the client as one that was cut off.
    if written.is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}
