//! Requests to the collector.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Where one sort of message is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collector {
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The most time that a request may take.
    pub(super) timeout: Duration,
}

impl Collector {
    /// Reads `http://host:port/path`; without a port it is 4318.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(endpoint: &str) -> Result<Self, String> {
        let rest = endpoint.strip_prefix("http://").ok_or_else(|| {
            format!(
                "`{endpoint}` does not begin with `http://`: name a collector that is near, which adds TLS"
            )
        })?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let uri: Option<axum::http::uri::Authority> = authority.parse().ok();
        if uri.is_none_or(|uri| uri.host().is_empty()) || authority.contains('@') {
            return Err(format!("`{endpoint}` names no host"));
        }
        let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
        let port = if after_host.contains(':') { "" } else { ":4318" };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let (headers, timeout) = (Vec::new(), Duration::ZERO);
        Ok(Self { authority: format!("{authority}{port}"), path, headers, timeout })
    }

    /// Sends one message; a sentence when that fails.
    pub(super) async fn send(&self, message: &Value) -> Result<(), String> {
        let sent = tokio::time::timeout(self.timeout, self.exchange(message.to_string())).await;
        let failed = |why: &str| format!("the collector at `{}` takes nothing: {why}", self.authority);
        match sent {
            Ok(Ok(200..=299)) => Ok(()),
            Ok(Ok(status)) => Err(failed(&format!("it answers {status}"))),
            Ok(Err(why)) => Err(failed(&why)),
            Err(_) => Err(failed("it does not answer")),
        }
    }

    async fn exchange(&self, body: String) -> Result<u16, String> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let mut request = Request::post(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        // It ends with this future: nobody reads what comes after the head.
        let connection = std::pin::pin!(connection);
        let answer = std::pin::pin!(sender.send_request(request));
        let answer = with(connection, answer).await.map_err(|error| error.to_string())?;
        Ok(answer.status().as_u16())
    }
}

/// What `answer` gives, while `connection` carries it.
async fn with<T>(
    mut connection: std::pin::Pin<&mut impl Future>,
    mut answer: std::pin::Pin<&mut impl Future<Output = T>>,
) -> T {
    let mut over = false;
    std::future::poll_fn(|context| {
        over = over || connection.as_mut().poll(context).is_ready();
        answer.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_a_port_and_perhaps_a_path() {
        let parts = |endpoint: &str| Collector::parse(endpoint).map(|found| (found.authority, found.path));
        let both = |authority: &str, path: &str| Ok((authority.to_owned(), path.to_owned()));
        assert_eq!(parts("http://localhost:4318"), both("localhost:4318", ""));
        assert_eq!(parts("http://[::1]/base/"), both("[::1]:4318", "/base"));
        assert_eq!(parts("http://collector/"), both("collector:4318", ""));
        for bad in ["https://h:1", "h:1", "http://", "http://u@h", "http://:80", "http://a b"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
