//! What the environment asks for, by the variables of OpenTelemetry's specification.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::collector::Collector;
use super::sampler::Sampler;
use super::{attribute, milliseconds};

/// The most spans of the queue and of a batch that may be asked for.
const SPANS_MAX: u64 = 65_536;

/// The shortest and the longest time that may be asked for, in milliseconds.
const TIMES_MS: std::ops::RangeInclusive<u64> = 10..=86_400_000;

/// What is sent where, and how often.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) traces: Option<Collector>,
    pub(super) metrics: Option<Collector>,
    pub(super) sampler: Sampler,
    /// The most spans that wait to be sent.
    pub(super) queue: usize,
    /// The most spans of one message.
    pub(super) batch: usize,
    /// The longest that a span waits for others.
    pub(super) delay: Duration,
    /// The time between two messages with metrics.
    pub(super) interval: Duration,
    /// Who sends.
    pub(super) resource: Value,
}

impl Settings {
    /// Reads the variables with `look`; `None` when nothing is to be sent. An empty variable counts as absent.
    ///
    /// # Errors
    ///
    /// What cannot be done, or is not understood.
    pub(super) fn read(look: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let look = |name: &str| look(name).filter(|value| !value.is_empty());
        if look("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (traces, metrics) = (collector(&look, "TRACES")?, collector(&look, "METRICS")?);
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let sampler = Sampler::named(
            look("OTEL_TRACES_SAMPLER").as_deref(),
            look("OTEL_TRACES_SAMPLER_ARG").as_deref(),
        )?;
        let number = |name: &str, default: u64, within: std::ops::RangeInclusive<u64>| match look(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|number| within.contains(number)).ok_or_else(|| {
                format!("`{name}` is `{text}` and not a number from {} to {}", within.start(), within.end())
            }),
        };
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1..=SPANS_MAX)?;
        let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1..=SPANS_MAX)?;
        let timeout = milliseconds(number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000, TIMES_MS)?);
        let timed = |collector: Option<Collector>| collector.map(|found| Collector { timeout, ..found });
        Ok(Some(Self {
            traces: timed(traces),
            metrics: timed(metrics),
            sampler,
            queue: usize::try_from(queue).unwrap_or(1),
            batch: usize::try_from(batch.min(queue)).unwrap_or(1),
            delay: milliseconds(number("OTEL_BSP_SCHEDULE_DELAY", 5000, TIMES_MS)?),
            interval: milliseconds(number("OTEL_METRIC_EXPORT_INTERVAL", 60_000, TIMES_MS)?),
            resource: resource(&look)?,
        }))
    }
}

/// Where traces or metrics go.
fn collector(look: &impl Fn(&str) -> Option<String>, signal: &str) -> Result<Option<Collector>, String> {
    match look(&format!("OTEL_{signal}_EXPORTER")).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(format!("`OTEL_{signal}_EXPORTER` is `{other}`; `otlp` and `none` are known"));
        }
    }
    // One for this signal is the whole address, one for all is the beginning of it.
    let of_signal = |name: &str| {
        look(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
            .or_else(|| look(&format!("OTEL_EXPORTER_OTLP_{name}")))
    };
    let own = look(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let Some(endpoint) = own.clone().or_else(|| look("OTEL_EXPORTER_OTLP_ENDPOINT")) else { return Ok(None) };
    if let Some(other) = of_signal("PROTOCOL").filter(|protocol| protocol != "http/json") {
        return Err(format!(
            "`OTEL_EXPORTER_OTLP_PROTOCOL` is `{other}`, and only `http/json` is spoken here"
        ));
    }
    let mut collector = Collector::parse(&endpoint)?;
    if own.is_none() {
        collector.path += &format!("/v1/{}", signal.to_lowercase());
    } else if collector.path.is_empty() {
        collector.path.push('/');
    }
    for (name, value) in pairs(&of_signal("HEADERS").unwrap_or_default(), "OTEL_EXPORTER_OTLP_HEADERS")? {
        let header = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        let (Ok(name), Ok(mut value)) = header else {
            return Err(format!("`OTEL_EXPORTER_OTLP_HEADERS` has `{name}`, which cannot be sent"));
        };
        value.set_sensitive(true);
        collector.headers.push((name, value));
    }
    Ok(Some(collector))
}

fn resource(look: &impl Fn(&str) -> Option<String>) -> Result<Value, String> {
    let text = look("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let mut asked = pairs(&text, "OTEL_RESOURCE_ATTRIBUTES")?;
    if let Some(name) = look("OTEL_SERVICE_NAME") {
        asked.retain(|(key, _)| key != "service.name");
        asked.push(("service.name".to_owned(), name));
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    for (key, value) in
        [("service.name", "qyvold".to_owned()), ("service.version", version), ("host.name", host)]
    {
        if asked.iter().all(|(other, _)| other != key) {
            asked.push((key.to_owned(), value));
        }
    }
    let attributes: Vec<Value> = asked.iter().map(|(key, value)| attribute(key, value)).collect();
    Ok(json!({ "attributes": attributes }))
}

/// `key=value,key=value`, with values in percent-encoding.
fn pairs(text: &str, variable: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').ok_or(())?;
        let (key, value) = (key.trim(), decoded(value.trim()).ok_or(())?);
        if key.is_empty() { Err(()) } else { Ok((key.to_owned(), value)) }
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    // What is wrong with it is not shown: it may be a secret.
    parts
        .map(pair)
        .collect::<Result<_, ()>>()
        .map_err(|()| format!("`{variable}` is not `key=value,key=value`"))
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let of = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(of)
    }

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap().is_none());
        assert!(read(&[HERE, ("OTEL_SDK_DISABLED", "True")]).unwrap().is_none());
        let off = [HERE, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")];
        assert!(read(&off).unwrap().is_none());
        let both = read(&[HERE]).unwrap().unwrap();
        assert_eq!(both.traces.unwrap().path, "/v1/traces");
        assert_eq!(both.metrics.unwrap().path, "/v1/metrics");
        assert_eq!((both.queue, both.batch, both.interval.as_secs()), (2048, 512, 60));
        let one = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h/in")]).unwrap().unwrap();
        assert_eq!((one.traces.unwrap().path.as_str(), one.metrics), ("/in", None));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://far:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=%0a"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=v"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
            ("OTEL_TRACES_SAMPLER", "some"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
        ] {
            let here = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
            assert!(read(&[(name, value), here]).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn headers_and_attributes_are_read() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20me, x=y"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,zone=a%2Cb"),
            ("OTEL_SERVICE_NAME", "mine"),
        ]);
        let settings = settings.unwrap().unwrap();
        let headers = settings.traces.unwrap().headers;
        assert_eq!(headers[0].1.to_str().unwrap(), "Bearer me");
        assert_eq!(headers[1].0, "x");
        let text = settings.resource.to_string();
        assert!(text.contains("\"mine\"") && text.contains("\"a,b\"") && !text.contains("other"), "{text}");
    }
}
