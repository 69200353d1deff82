//! What instances use, from one look to the next.

use std::collections::HashMap;
use std::time::Instant;

use qyvol_protocol::InstanceId;
use qyvol_protocol::api::UsageRow;
use serde::Serialize;

/// What one instance uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Use {
    /// What the daemon says.
    #[serde(flatten)]
    pub(crate) row: UsageRow,
    /// Hundredths of one core since the look before; `None` at the first.
    pub(crate) cpu_percent: Option<f64>,
    /// Requests a second since the look before; `None` at the first.
    pub(crate) requests_per_second: Option<f64>,
}

/// Remembers the look before.
#[derive(Default)]
pub(crate) struct Meter {
    before: HashMap<InstanceId, (Instant, u64, u64)>,
}

impl Meter {
    /// What the instances use, `now`.
    pub(crate) fn look(&mut self, rows: Vec<UsageRow>, now: Instant) -> Vec<Use> {
        let mut next = HashMap::new();
        let uses = rows
            .into_iter()
            .map(|row| {
                let before = self.before.get(&row.instance).filter(|(then, ..)| now > *then);
                let rate = |total: u64, of: fn(&(Instant, u64, u64)) -> u64| {
                    let before = before?;
                    // Counters only grow; one that shrank is another's.
                    let grown = total.checked_sub(of(before))?;
                    Some(as_float(grown) / now.duration_since(before.0).as_secs_f64())
                };
                let cpu_percent = rate(row.cpu_ns, |before| before.1).map(|ns| ns / 1e7);
                let requests_per_second = rate(row.requests, |before| before.2);
                next.insert(row.instance.clone(), (now, row.cpu_ns, row.requests));
                Use { row, cpu_percent, requests_per_second }
            })
            .collect();
        self.before = next;
        uses
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates are shown with one digit")]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// A rate with one digit, or `-`.
pub(crate) fn shown(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(instance: &str, cpu_ns: u64, requests: u64) -> UsageRow {
        UsageRow {
            instance: instance.parse().unwrap(),
            cpu_ns,
            memory: 0,
            memory_limit: 0,
            fds: 0,
            connections: 0,
            log_bytes: 0,
            log_dropped: 0,
            requests,
        }
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let first = meter.look(vec![row("a.0@1", 5_000_000_000, 100), row("b.0@2", 9, 9)], start);
        assert_eq!((first[0].cpu_percent, first[0].requests_per_second), (None, None));
        let later = start + Duration::from_secs(2);
        let second = meter.look(vec![row("a.0@1", 6_000_000_000, 110), row("b.0@3", 0, 0)], later);
        assert_eq!((second[0].cpu_percent, second[0].requests_per_second), (Some(50.0), Some(5.0)));
        // Another generation is another instance.
        assert_eq!(second[1].cpu_percent, None);
        // No time between, or a counter that shrank: no rate, and no panic.
        assert_eq!(meter.look(vec![row("a.0@1", 7_000_000_000, 110)], later)[0].cpu_percent, None);
        let shrank = meter.look(vec![row("a.0@1", 0, 0)], later + Duration::from_secs(1));
        assert_eq!((shrank[0].cpu_percent, shown(shrank[0].cpu_percent)), (None, "-".into()));
        assert_eq!(shown(Some(12.345)), "12.3");
    }
}
