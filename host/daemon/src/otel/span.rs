//! Spans, and what tells them apart.

use std::fmt;

use serde_json::{Value, json};

use super::sampler::Sampler;
use super::{attribute, long, now_ns};

/// The number of a trace. None is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(u128);

/// Which span of which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: TraceId,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

/// Something that took time.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) context: Context,
    /// Its parent's number.
    parent: Option<u64>,
    pub(super) name: String,
    kind: Kind,
    begin: u64,
    end: u64,
    attributes: Vec<(&'static str, String)>,
    /// Why it failed.
    failure: Option<String>,
}

/// Who waits for whom, with the numbers of OTLP.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
}

impl TraceId {
    /// The lowest so many bits, which are random.
    pub(super) fn random(self, bits: u32) -> u64 {
        (self.0 & ((1 << bits) - 1)) as u64
    }

    #[cfg(test)]
    pub(super) fn of(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Context {
    /// A new span in the trace of its parent, or in a new one.
    pub(super) fn new(parent: Option<Self>, sampler: Sampler) -> Self {
        let trace = parent.map_or_else(
            || TraceId(u128::from(random()) << 64 | u128::from(random())),
            |parent| parent.trace,
        );
        Self { trace, span: random(), sampled: sampler.takes(trace, parent) }
    }

    /// The header `traceparent` of W3C: `00-<trace>-<span>-<flags>`. What is not so is as if it were not there.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        // A later version may have more parts.
        let ends = parts.next().is_none() || version != "00";
        let digits = |text: &str, count| {
            text.len() == count && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !ends
            || !digits(version, 2)
            || version == "ff"
            || !digits(trace, 32)
            || !digits(span, 16)
            || !digits(flags, 2)
        {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace > 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span > 0)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace: TraceId(trace), span, sampled })
    }
}

impl Span {
    /// One that begins now.
    pub(super) fn begin(name: String, kind: Kind, parent: Option<Context>, sampler: Sampler) -> Self {
        let now = now_ns();
        Self {
            context: Context::new(parent, sampler),
            parent: parent.map(|parent| parent.span),
            name,
            kind,
            begin: now,
            end: now,
            attributes: Vec::new(),
            failure: None,
        }
    }

    /// Adds what it was about.
    pub(super) fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push((key, value.to_string()));
        self
    }

    /// It ends now, well or because of `failure`.
    pub(super) fn end(mut self, failure: Option<String>) -> Self {
        // A clock that was set back meanwhile makes no span end before it began.
        self.end = now_ns().max(self.begin);
        self.failure = failure;
        self
    }

    /// As OTLP has it.
    pub(super) fn json(&self) -> Value {
        let attributes: Vec<Value> =
            self.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
        let status = match &self.failure {
            Some(why) => json!({ "code": 2, "message": why }),
            None => json!({}),
        };
        let mut span = json!({
            "traceId": self.context.trace.to_string(),
            "spanId": format!("{:016x}", self.context.span),
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": long(self.begin),
            "endTimeUnixNano": long(self.end),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = format!("{parent:016x}").into();
        }
        span
    }
}

/// A random number that is not 0.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let number = u64::from_ne_bytes(bytes);
    // It always gives 8 bytes once the system is up; the time will do until then.
    if filled == Ok(8) && number > 0 { number } else { now_ns().max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_taken_from_the_header_when_it_is_one() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = Context::parse(&format!("00-{trace}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(
            (parent.trace.to_string().as_str(), parent.span, parent.sampled),
            (trace, 0xf0_67aa_0ba9_02b7, true)
        );
        assert!(!Context::parse(&format!("00-{trace}-00f067aa0ba902b7-00")).unwrap().sampled);
        assert!(Context::parse(&format!("01-{trace}-00f067aa0ba902b7-01-more")).is_some());
        let zero = "0".repeat(32);
        for bad in [
            String::new(),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}-00f067aa0ba902b7-+1"),
        ] {
            assert_eq!(Context::parse(&bad), None, "{bad}");
        }
    }
}
