//! The families of `/metrics`, as OTLP has them.

use serde_json::{Value, json};

use super::{attribute, long, now_ns};
use crate::api::metrics::{Family, families};
use crate::fault::Fault;
use crate::overseer::Handle;

/// All that there is now, and how many spans were lost so far.
pub(super) async fn gather(handle: &Handle, dropped: u64) -> Result<Vec<Value>, Fault> {
    let mut all = families(handle).await?;
    all.push(Family::count("qyvol_spans_dropped_total", "Spans that were not sent.", dropped));
    Ok(all.iter().map(metric).collect())
}

fn metric(family: &Family) -> Value {
    let time = long(now_ns());
    let point = |(labels, value): &(Vec<(&'static str, String)>, u64)| {
        let labels: Vec<Value> = labels.iter().map(|(key, value)| attribute(key, value)).collect();
        json!({ "timeUnixNano": time, "asInt": long(*value), "attributes": labels })
    };
    let points: Vec<Value> = family.samples.iter().map(point).collect();
    let (name, description) = (family.name, family.help);
    if family.counts {
        // Sums since each began, which only grow.
        let sum = json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points });
        json!({ "name": name, "description": description, "sum": sum })
    } else {
        json!({ "name": name, "description": description, "gauge": { "dataPoints": points } })
    }
}
