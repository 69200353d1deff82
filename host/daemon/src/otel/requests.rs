//! Spans of requests of the API.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::MethodRouter;

use super::Telemetry;
use super::span::{Context, Kind, Span};

/// Tells how long the requests of a route take, to the head of their answers: what is followed may go on for days.
pub(crate) fn traced<S: Clone + Send + Sync + 'static>(
    telemetry: Telemetry,
    path: &'static str,
    route: MethodRouter<S>,
) -> MethodRouter<S> {
    route.layer(from_fn(move |request: Request, next: Next| {
        let telemetry = telemetry.clone();
        async move {
            let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
            let parent = parent.and_then(Context::parse);
            let method = request.method().clone();
            let span = Span::begin(format!("{method} {path}"), Kind::Server, parent, telemetry.0.sampler)
                .with("http.request.method", &method)
                .with("http.route", path);
            let answer = next.run(request).await;
            let status = answer.status();
            let failure = status.is_server_error().then(|| status.to_string());
            telemetry.tell(span.with("http.response.status_code", status.as_u16()).end(failure));
            answer
        }
    }))
}
