//! The front of the pipeline, in Rust: a component that answers HTTP requests, an instance a request.
//!
//! | request | answer |
//! |---|---|
//! | `POST /logs`, a log line a line | how many were kept, dropped and not understood |
//! | `GET /report` | the report, as text |

mod http;

use qyv::{Wait as _, net};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

struct Front;

wasip2::http::proxy::export!(Front);

impl Guest for Front {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let answer = match (request.method(), path.as_str()) {
            (Method::Post, "/logs") => http::body(&request).and_then(|text| logs(&text)),
            (Method::Get, "/report") => report(),
            _ => return http::answer(out, 404, "POST /logs, or GET /report\n"),
        };
        match answer {
            Ok(text) => http::answer(out, 200, &text),
            Err(problem) => http::answer(out, 502, &format!("{problem}\n")),
        }
    }
}

/// Gives each line to the next stage, which says what became of it.
fn logs(text: &str) -> Result<String, String> {
    let told = |error: qyv::Error| error.to_string();
    let stage = net::try_connect("service://lines").wait().map_err(told)?;
    let (mut kept, mut dropped, mut malformed) = (0_u32, 0_u32, 0_u32);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        stage.send(line).wait().map_err(told)?;
        match stage.recv_text().wait().map_err(told)?.as_deref() {
            Some("kept") => kept += 1,
            Some("dropped") => dropped += 1,
            Some("malformed") => malformed += 1,
            Some(other) => return Err(format!("a stage said `{other}`")),
            None => return Err("a stage ended in the midst of it".to_owned()),
        }
    }
    Ok(format!("{kept} kept, {dropped} dropped, {malformed} not understood\n"))
}

/// Asks the last stage for its text.
fn report() -> Result<String, String> {
    let told = |error: qyv::Error| error.to_string();
    let stage = net::try_connect("service://report").wait().map_err(told)?;
    let mut text = String::new();
    while let Some(line) = stage.recv_text().wait().map_err(told)? {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}
