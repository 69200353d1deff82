//! A collector that is not there, or does not take what it gets.

use std::sync::atomic::Ordering;

use super::settings::Settings;
use super::span::{Kind, Span};
use super::{Telemetry, send_spans};

fn telemetry(endpoint: &str) -> (Telemetry, super::Exporter) {
    let look = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
        "OTEL_BSP_MAX_QUEUE_SIZE" => Some("3".to_owned()),
        "OTEL_BSP_SCHEDULE_DELAY" | "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("10".to_owned()),
        _ => None,
    };
    Telemetry::with(Settings::read(look).unwrap().unwrap())
}

#[test]
fn what_does_not_fit_or_is_not_taken_is_counted_and_nobody_waits() {
    // Bound, and never answering.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (telemetry, exporter) = telemetry(&format!("http://{}", silent.local_addr().unwrap()));
    for _ in 0..5 {
        let span = Span::begin("x".into(), Kind::Internal, None, telemetry.0.sampler);
        telemetry.tell(span.end(None));
    }
    assert_eq!(telemetry.0.dropped.load(Ordering::Relaxed), 2);
    let super::Exporter { settings, spans, .. } = exporter;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let collector = settings.traces.clone().unwrap();
    let sends = send_spans(collector, std::sync::Arc::new(settings), telemetry.clone(), spans);
    runtime.block_on(async {
        let sends = tokio::spawn(sends);
        for _ in 0..2000 {
            if telemetry.0.dropped.load(Ordering::Relaxed) == 5 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        sends.abort();
    });
    assert_eq!(telemetry.0.dropped.load(Ordering::Relaxed), 5);
}
