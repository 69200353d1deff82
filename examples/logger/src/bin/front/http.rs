//! As much of HTTP/1.1 as a page needs: requests without a body, answers with a length.

/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// As it was sent: `GET`.
    pub method: String,
    /// Without what follows a `?`.
    pub path: String,
    /// Whether others may follow it on its connection.
    pub keep_alive: bool,
}

/// Reads a request from the front of what has arrived, with its length in bytes; `None` when it is not all there.
///
/// # Errors
///
/// The status to refuse it with.
pub fn parse(arrived: &[u8]) -> Option<Result<(Request, usize), u16>> {
    let Some(end) = arrived.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (arrived.len() > HEAD_BYTES_MAX).then_some(Err(431));
    };
    if end > HEAD_BYTES_MAX {
        return Some(Err(431));
    }
    let head = std::str::from_utf8(arrived.get(..end)?).map_err(|_| 400);
    Some(head.and_then(parse_head).map(|request| (request, end + 4)))
}

fn parse_head(head: &str) -> Result<Request, u16> {
    let mut lines = head.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = first[..] else { return Err(400) };
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(505),
    };
    if !target.starts_with('/') {
        return Err(400);
    }
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(400_u16)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" => keep_alive &= !value.eq_ignore_ascii_case("close"),
            // A body would be taken for the next request.
            "content-length" if value != "0" => return Err(413),
            "transfer-encoding" => return Err(413),
            _ => {}
        }
    }
    let path = target.split('?').next().unwrap_or_default();
    Ok(Request { method: method.to_owned(), path: path.to_owned(), keep_alive })
}

/// An answer.
pub struct Response {
    status: u16,
    kind: &'static str,
    body: String,
    with_body: bool,
}

impl Response {
    /// A plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into(), with_body: true }
    }

    /// A page with these lines, which others wrote.
    pub fn page(lines: &[String]) -> Self {
        let escaped = lines.concat().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"2\">\n\
             <title>Logger</title>\n<h1>The last lines</h1>\n<pre>\n{escaped}</pre>\n"
        );
        Self { status: 200, kind: "text/html; charset=utf-8", body, with_body: true }
    }

    /// The same for `HEAD`.
    pub fn without_body(self) -> Self {
        Self { with_body: false, ..self }
    }

    /// What goes over the connection.
    pub fn bytes(&self, keep_alive: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "HTTP Version Not Supported",
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let allow = if self.status == 405 { "allow: GET, HEAD\r\n" } else { "" };
        let (status, kind, length) = (self.status, self.kind, self.body.len());
        let body = if self.with_body { self.body.as_str() } else { "" };
        format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{allow}\
             connection: {connection}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, Response, parse};

    #[test]
    fn requests_follow_each_other() {
        let two =
            b"GET /logs.txt?x=1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nConnection: Close\r\n\r\n";
        let (first, length) = parse(two).unwrap().unwrap();
        assert_eq!(
            (first.method.as_str(), first.path.as_str(), first.keep_alive),
            ("GET", "/logs.txt", true)
        );
        let (second, rest) = parse(&two[length..]).unwrap().unwrap();
        assert_eq!((second.path.as_str(), second.keep_alive, length + rest), ("/", false, two.len()));
        assert!((0..length).all(|cut| parse(&two[..cut]).is_none()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (head, status) in [
            ("GET /", 400),
            ("GET / HTTP/2", 505),
            ("GET  / HTTP/1.1", 400),
            ("GET http://a/ HTTP/1.1", 400),
            ("GET / HTTP/1.1\r\nno header", 400),
            ("POST / HTTP/1.1\r\ncontent-length: 5", 413),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", 413),
        ] {
            assert_eq!(parse(format!("{head}\r\n\r\n").as_bytes()), Some(Err(status)), "{head}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Some(Err(400)));
        assert_eq!(parse(&vec![b'a'; HEAD_BYTES_MAX + 1]), Some(Err(431)));
    }

    #[test]
    fn lines_of_others_are_no_markup() {
        let page = Response::page(&["<script>&\n".to_owned()]).bytes(true);
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("&lt;script&gt;&amp;\n") && !page.contains("<script"), "{page}");
        let head = String::from_utf8(Response::text(200, "ok\n").without_body().bytes(false)).unwrap();
        assert!(head.contains("content-length: 3\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
