//! The state in the text format of Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use qyvol_protocol::api::{AppSummary, Info, UsageRow};

use super::Context;
use super::rest::used;
use crate::fault::Fault;

pub(crate) async fn metrics(State(context): State<Context>) -> Result<impl IntoResponse, Fault> {
    let rows = used(&context).await?;
    let (info, apps) = context.handle.ask(|overseer| (overseer.info(), overseer.summaries())).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text(&info, &apps, &rows)))
}

fn text(info: &Info, apps: &[AppSummary], rows: &[UsageRow]) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, u64)>| {
        // Writing to a text does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let plain = |value: u64| vec![(String::new(), value)];
    family("qyvol_apps", "gauge", "Apps that are deployed.", plain(info.apps));
    family(
        "qyvol_instances",
        "gauge",
        "Instances that were started and have not ended.",
        plain(info.instances),
    );
    family("qyvol_workers", "gauge", "Processes that run instances.", plain(info.workers.len() as u64));
    let of_app = |value: fn(&AppSummary) -> u64| {
        apps.iter().map(|app| (format!("{{app=\"{}\"}}", app.app), value(app))).collect::<Vec<_>>()
    };
    family("qyvol_app_ready", "gauge", "Replicas that are ready.", of_app(|app| app.ready.into()));
    family("qyvol_app_replicas", "gauge", "Replicas that are wanted.", of_app(|app| app.replicas.into()));
    family("qyvol_app_restarts_total", "counter", "Restarts since the deploy.", of_app(|app| app.restarts));
    let of_instance = |value: fn(&UsageRow) -> u64| {
        let labels =
            |row: &UsageRow| format!("{{app=\"{}\",slot=\"{}\"}}", row.instance.app, row.instance.slot);
        rows.iter().map(|row| (labels(row), value(row))).collect::<Vec<_>>()
    };
    family(
        "qyvol_memory_bytes",
        "gauge",
        "Memory by the counter of `limits.memory`.",
        of_instance(|row| row.memory),
    );
    family("qyvol_cpu_nanoseconds_total", "counter", "Processor time.", of_instance(|row| row.cpu_ns));
    family("qyvol_log_bytes_total", "counter", "Bytes written to the log.", of_instance(|row| row.log_bytes));
    family(
        "qyvol_log_dropped_lines_total",
        "counter",
        "Lines dropped because they came too fast.",
        of_instance(|row| row.log_dropped),
    );
    family("qyvol_descriptors", "gauge", "Open descriptors.", of_instance(|row| row.fds.into()));
    family(
        "qyvol_connections",
        "gauge",
        "Open connections to and from services.",
        of_instance(|row| row.connections.into()),
    );
    family("qyvol_requests_total", "counter", "HTTP requests answered.", of_instance(|row| row.requests));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_says_what_it_is_and_each_sample_has_its_labels() {
        let info = Info {
            version: "1".into(),
            pid: 1,
            started: 0,
            state: "/s".into(),
            remote: None,
            apps: 2,
            instances: 3,
            workers: Vec::new(),
        };
        let row = UsageRow {
            instance: "web.1@7".parse().unwrap(),
            cpu_ns: 5,
            memory: 65536,
            memory_limit: 0,
            fds: 0,
            connections: 0,
            log_bytes: 0,
            log_dropped: 0,
            requests: 0,
        };
        let text = text(&info, &[], &[row]);
        assert!(text.contains("# TYPE qyvol_apps gauge\nqyvol_apps 2\n"), "{text}");
        assert!(text.contains("qyvol_memory_bytes{app=\"web\",slot=\"1\"} 65536\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.split(' ').count() == 2, "{line}");
        }
    }
}
