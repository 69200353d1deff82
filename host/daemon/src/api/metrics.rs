//! The state in the text format of Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use qyvol_protocol::api::{AppSummary, Info, UsageRow};

use super::Context;
use super::rest::used;
use crate::fault::Fault;
use crate::overseer::Handle;

pub(crate) async fn metrics(State(context): State<Context>) -> Result<impl IntoResponse, Fault> {
    let families = families(&context.handle).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text(&families)))
}

/// A sort of number that is measured, with what each is about.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// One sentence for people.
    pub(crate) help: &'static str,
    /// Whether it counts, and so only grows.
    pub(crate) counts: bool,
    /// Each with its labels.
    pub(crate) samples: Vec<(Vec<(&'static str, String)>, u64)>,
}

impl Family {
    fn now(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, counts: false, samples: vec![(Vec::new(), value)] }
    }

    /// One number that only grows.
    #[cfg(any(feature = "otel", test))]
    pub(crate) fn count(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { counts: true, ..Self::now(name, help, value) }
    }
}

/// All that is measured, now.
pub(crate) async fn families(handle: &Handle) -> Result<Vec<Family>, Fault> {
    let rows = used(handle).await?;
    let (info, apps) = handle.ask(|overseer| (overseer.info(), overseer.summaries())).await?;
    Ok(list(&info, &apps, &rows))
}

fn list(info: &Info, apps: &[AppSummary], rows: &[UsageRow]) -> Vec<Family> {
    let of_apps = |name, counts, help, value: fn(&AppSummary) -> u64| {
        let sample = |app: &AppSummary| (vec![("app", app.app.to_string())], value(app));
        Family { name, help, counts, samples: apps.iter().map(sample).collect() }
    };
    let of_instances = |name, counts, help, value: fn(&UsageRow) -> u64| {
        let labels = |row: &UsageRow| {
            vec![("app", row.instance.app.to_string()), ("slot", row.instance.slot.to_string())]
        };
        let sample = |row: &UsageRow| (labels(row), value(row));
        Family { name, help, counts, samples: rows.iter().map(sample).collect() }
    };
    vec![
        Family::now("qyvol_apps", "Apps that are deployed.", info.apps),
        Family::now("qyvol_instances", "Instances that were started and have not ended.", info.instances),
        Family::now("qyvol_workers", "Processes that run instances.", info.workers.len() as u64),
        of_apps("qyvol_app_ready", false, "Replicas that are ready.", |app| app.ready.into()),
        of_apps("qyvol_app_replicas", false, "Replicas that are wanted.", |app| app.replicas.into()),
        of_apps("qyvol_app_restarts_total", true, "Restarts since the deploy.", |app| app.restarts),
        of_instances("qyvol_memory_bytes", false, "Memory by the counter of `limits.memory`.", |row| {
            row.memory
        }),
        of_instances("qyvol_cpu_nanoseconds_total", true, "Processor time.", |row| row.cpu_ns),
        of_instances("qyvol_log_bytes_total", true, "Bytes written to the log.", |row| row.log_bytes),
        of_instances(
            "qyvol_log_dropped_lines_total",
            true,
            "Lines dropped because they came too fast.",
            |row| row.log_dropped,
        ),
        of_instances("qyvol_descriptors", false, "Open descriptors.", |row| row.fds.into()),
        of_instances("qyvol_connections", false, "Open connections to and from services.", |row| {
            row.connections.into()
        }),
        of_instances("qyvol_requests_total", true, "HTTP requests answered.", |row| row.requests),
    ]
}

fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, help, counts, samples } in families {
        let kind = if *counts { "counter" } else { "gauge" };
        // Writing to a text does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let _ = match &labels[..] {
                [] => writeln!(out, "{name} {value}"),
                labels => writeln!(out, "{name}{{{}}} {value}", labels.join(",")),
            };
        }
    }
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
        let text = text(&list(&info, &[], &[row]));
        assert!(text.contains("# TYPE qyvol_apps gauge\nqyvol_apps 2\n"), "{text}");
        assert!(text.contains("qyvol_memory_bytes{app=\"web\",slot=\"1\"} 65536\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.split(' ').count() == 2, "{line}");
        }
    }
}
