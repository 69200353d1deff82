//! Traces and metrics for a collector of OpenTelemetry, by OTLP over HTTP in its JSON encoding (feature `otel`).
//!
//! That encoding is a few objects, which are written here: the usual crates would bring in protobuf, gRPC's types and a
//! second way of doing HTTP. What is sent goes to a collector on this host or in its network, by plain HTTP; the collector
//! adds TLS and whatever comes after it.
//!
//! Whoever has something to tell puts it into a bounded queue and never waits: what does not fit is counted, and the count
//! is sent with the metrics.

mod collector;
mod life;
mod metrics;
mod requests;
mod sampler;
mod settings;
mod span;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use qyv_supervise::{Action, Event};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::collector::Collector;
use self::life::Life;
pub(crate) use self::requests::traced;
use self::sampler::Sampler;
use self::settings::Settings;
use self::span::Span;
use crate::overseer::Handle;

/// Where spans go. Copies are of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sampler: Sampler,
    queue: Sender<Span>,
    /// Spans that did not fit into the queue, or that no collector took.
    dropped: AtomicU64,
    life: Mutex<Life>,
}

/// What is to be sent, from where: made before there is anything to measure.
#[derive(Debug)]
pub(crate) struct Exporter {
    settings: Settings,
    telemetry: Telemetry,
    spans: Receiver<Span>,
}

impl Telemetry {
    /// What the environment asks for. Nothing when it names no collector; nothing, and a sentence on standard error, when
    /// what it says cannot be done: apps matter more than what is told about them.
    pub(crate) fn of_environment() -> Option<(Self, Exporter)> {
        match Settings::read(|name| std::env::var(name).ok()) {
            Ok(settings) => settings.map(Self::with),
            Err(why) => {
                eprintln!("qyvold: no telemetry is sent: {why}");
                None
            }
        }
    }

    fn with(settings: Settings) -> (Self, Exporter) {
        let (queue, spans) = channel(settings.queue);
        let sampler = settings.sampler;
        let (dropped, life) = (AtomicU64::new(0), Mutex::default());
        let telemetry = Self(Arc::new(Inner { sampler, queue, dropped, life }));
        (telemetry.clone(), Exporter { settings, telemetry, spans })
    }

    /// A revision of an app is to run from now on.
    pub(crate) fn deployed(&self, app: &qyv_spec::service::Name, revision: u64) {
        self.life().deployed(app, revision, self.0.sampler);
    }

    /// Something is about to be done.
    pub(crate) fn acts(&self, action: &Action) {
        let ended = self.life().acts(action, self.0.sampler);
        ended.into_iter().for_each(|span| self.tell(span));
    }

    /// Something has happened.
    pub(crate) fn happens(&self, event: &Event) {
        let ended = self.life().happens(event);
        ended.into_iter().for_each(|span| self.tell(span));
    }

    /// Puts a span into the queue, unless nobody wants it.
    fn tell(&self, span: Span) {
        if !span.context.sampled {
            return;
        }
        match self.0.queue.try_send(span) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.lost(1),
        }
    }

    fn lost(&self, spans: usize) {
        self.0.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exporter {
    /// Sends for as long as the daemon runs, on a thread of its own.
    pub(crate) fn start(self, handle: Handle) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let work = move || runtime.block_on(self.export(handle));
        thread::Builder::new().name("otel".into()).spawn(work).map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn export(self, handle: Handle) {
        let Self { settings, telemetry, spans } = self;
        let settings = Arc::new(settings);
        if let Some(collector) = settings.metrics.clone() {
            tokio::spawn(send_metrics(collector, Arc::clone(&settings), telemetry.clone(), handle));
        }
        match settings.traces.clone() {
            Some(collector) => send_spans(collector, settings, telemetry, spans).await,
            None => std::future::pending().await,
        }
    }
}

/// Sends spans in batches: when one is full, or when its first span has waited long enough.
async fn send_spans(
    collector: Collector,
    settings: Arc<Settings>,
    telemetry: Telemetry,
    mut spans: Receiver<Span>,
) {
    let mut told = Told::default();
    loop {
        let mut batch = Vec::new();
        let Some(first) = spans.recv().await else { return };
        batch.push(first);
        let until = Instant::now() + settings.delay;
        while batch.len() < settings.batch {
            match timeout_at(until, spans.recv()).await {
                Ok(Some(span)) => batch.push(span),
                Ok(None) | Err(_) => break,
            }
        }
        let list: Vec<Value> = batch.iter().map(Span::json).collect();
        let traces = json!({ "resourceSpans": [{
            "resource": settings.resource, "scopeSpans": [{ "scope": scope(), "spans": list }],
        }] });
        let sent = collector.send(&traces).await;
        if sent.is_err() {
            telemetry.lost(batch.len());
        }
        told.of(&sent);
    }
}

async fn send_metrics(collector: Collector, settings: Arc<Settings>, telemetry: Telemetry, handle: Handle) {
    let mut told = Told::default();
    let mut next = Instant::now() + settings.interval;
    loop {
        sleep_until(next).await;
        let dropped = telemetry.0.dropped.load(Ordering::Relaxed);
        // A daemon that has too much to do is asked again at the next time.
        if let Ok(metrics) = metrics::gather(&handle, dropped).await {
            let message = json!({ "resourceMetrics": [{
                "resource": settings.resource, "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
            }] });
            told.of(&collector.send(&message).await);
        }
        next = Instant::now().max(next + settings.interval);
    }
}

/// Says once that a collector takes nothing, and again when it has taken something meanwhile.
#[derive(Debug, Default)]
struct Told(bool);

impl Told {
    fn of(&mut self, sent: &Result<(), String>) {
        if let Err(why) = sent
            && !self.0
        {
            eprintln!("qyvold: {why}; what is told to it is lost until it takes it");
        }
        self.0 = sent.is_err();
    }
}

/// Who measures.
fn scope() -> Value {
    json!({ "name": "qyvold", "version": env!("CARGO_PKG_VERSION") })
}

/// A text under a name, as OTLP's JSON has it.
fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Now, in nanoseconds since 1970.
fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A number of 64 bits, which OTLP's JSON has as a text.
fn long(number: u64) -> Value {
    Value::String(number.to_string())
}

/// A time in milliseconds.
fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[cfg(test)]
mod tests;
