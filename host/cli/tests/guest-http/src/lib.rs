//! A handler that does what its path says, most of it badly.

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{OutputStream, StreamError};

const PIECE: usize = 4096;

struct Handler;

wasip2::http::proxy::export!(Handler);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = query.parse().unwrap_or(0);
        match path {
            "/trap" => panic!("as it was asked to"),
            "/half" => {
                let (body, stream) = begin(out, &[]);
                let _ = stream.blocking_write_and_flush(b"half of");
                sleep(20);
                let _held = body;
                panic!("in the middle");
            }
            "/grow" => loop {
                std::mem::forget(std::hint::black_box(vec![7_u8; 1 << 20]));
            },
            "/loop" => loop {
                std::hint::black_box(0);
            },
            "/silent" => {}
            "/exit" => std::process::exit(3),
            "/sleep" => {
                sleep(number);
                text(out, "slept");
            }
            "/forbidden" => {
                let headers = Fields::new();
                let refused = ["connection", "transfer-encoding", "host", "upgrade"]
                    .map(|name| headers.append(name, b"x").is_err());
                text(out, &format!("{refused:?}"));
            }
            "/fields" => {
                let headers = Fields::new();
                let most = (0..1_000_000).find(|n| headers.append(&format!("x-{n}"), &[b'v'; 1000]).is_err());
                text(out, &format!("{}", most.unwrap_or(0)));
            }
            "/endless" => {
                let (body, stream) = begin(out, &[]);
                let mut written = 0;
                while stream.blocking_write_and_flush(&[b'.'; PIECE]).is_ok() {
                    written += PIECE;
                }
                println!("nobody reads after {written}");
                drop((stream, body));
            }
            "/short" => {
                let (body, stream) = begin(out, &[("content-length", "10")]);
                let _ = stream.blocking_write_and_flush(b"abc");
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
            "/none" => {
                let response = OutgoingResponse::new(fields(&[("content-length", "5")]));
                ResponseOutparam::set(out, Ok(response));
            }
            "/after" => {
                text(out, "answered");
                sleep(100);
                println!("worked on after the answer");
            }
            "/print" => {
                println!("printed to stdout");
                eprintln!("printed to stderr");
                text(out, "printed");
            }
            "/outside" => text(out, &outside()),
            "/length" => {
                let total = drain(&request);
                text(out, &format!("{total}"));
            }
            "/echo" => {
                let incoming = request.consume().unwrap();
                let stream = incoming.stream().unwrap();
                let (body, answer) = begin(out, &[]);
                while let Ok(bytes) = stream.blocking_read(PIECE as u64) {
                    if write(&answer, &bytes).is_err() {
                        return;
                    }
                }
                drop(answer);
                let _ = OutgoingBody::finish(body, None);
            }
            "/env" => text(out, &std::env::var(query).unwrap_or_default()),
            "/file" => {
                let count =
                    std::fs::read_to_string("/tmp/count").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
                std::fs::write("/tmp/count", format!("{}", count + 1)).unwrap();
                text(out, &format!("{count}"));
            }
            _ => text(out, "hello"),
        }
    }
}

fn sleep(milliseconds: u64) {
    subscribe_duration(milliseconds * 1_000_000).block();
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in list {
        fields.append(name, value.as_bytes()).unwrap();
    }
    fields
}

fn begin(out: ResponseOutparam, headers: &[(&str, &str)]) -> (OutgoingBody, OutputStream) {
    let response = OutgoingResponse::new(fields(headers));
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    (body, stream)
}

fn text(out: ResponseOutparam, text: &str) {
    let (body, stream) = begin(out, &[]);
    let written = write(&stream, text.as_bytes());
    drop(stream);
    if written.is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    bytes.chunks(PIECE).try_for_each(|piece| stream.blocking_write_and_flush(piece))
}

fn drain(request: &IncomingRequest) -> usize {
    let incoming = request.consume().unwrap();
    let stream = incoming.stream().unwrap();
    let mut total = 0;
    loop {
        match stream.blocking_read(PIECE as u64) {
            Ok(bytes) => total += bytes.len(),
            Err(StreamError::Closed) => return total,
            Err(StreamError::LastOperationFailed(error)) => {
                println!("the body broke: {}", error.to_debug_string());
                return total;
            }
        }
    }
}

fn outside() -> String {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some("example.org:8080")).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    match outgoing_handler::handle(request, None) {
        Err(code) => format!("{code:?}"),
        Ok(future) => {
            future.subscribe().block();
            match future.get() {
                Some(Ok(Err(code))) => format!("{code:?}"),
                _ => "it went out".to_owned(),
            }
        }
    }
}
