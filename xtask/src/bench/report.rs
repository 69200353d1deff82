//! Series of measurements: medians, ratios, a table or JSON.

use serde_json::json;

/// What numbers count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Kibibytes,
    Mebibytes,
    PerSecond,
    Percent,
    /// A number without a unit.
    Number,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Kibibytes => "KiB",
            Self::Mebibytes => "MiB",
            Self::PerSecond => "/s",
            Self::Percent => "%",
            Self::Number => "",
        }
    }

    /// For people: long times in milliseconds.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Number => format!("{value:.3}"),
            Self::Percent => format!("{value:.2} %"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Nanoseconds if value >= 1e6 => Self::Milliseconds.show(value / 1e6),
            _ => format!("{value:.1} {}", self.name()),
        }
    }
}

struct Row {
    contest: String,
    name: String,
    unit: Unit,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// All that was measured.
pub(crate) struct Report {
    pairs: usize,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(pairs: usize) -> Self {
        Self { pairs, rows: Vec::new() }
    }

    /// Adds one pair to the row of this name.
    pub(crate) fn add(&mut self, contest: &str, name: &str, unit: Unit, ours: f64, theirs: Option<f64>) {
        let same = |row: &Row| row.contest == contest && row.name == name;
        let index = self.rows.iter().position(same).unwrap_or_else(|| {
            let (contest, name) = (contest.to_owned(), name.to_owned());
            self.rows.push(Row { contest, name, unit, ours: Vec::new(), theirs: Vec::new() });
            self.rows.len() - 1
        });
        self.rows[index].ours.push(ours);
        self.rows[index].theirs.extend(theirs);
    }

    pub(crate) fn print_table(&self) {
        println!("\nmedians of {} alternating pairs\n", self.pairs);
        println!("| what | qyvol | wasmtime | ratio |\n|---|---:|---:|---:|");
        for row in &self.rows {
            let number = |value: Option<f64>| value.map_or("–".into(), |value| row.unit.show(value));
            let ratio = row.ratio().map_or("–".into(), |ratio| format!("{ratio:.2}"));
            let (ours, theirs) = (number(median(&row.ours)), number(median(&row.theirs)));
            println!("| {}: {} | {ours} | {theirs} | {ratio} |", row.contest, row.name);
        }
    }

    pub(crate) fn print_json(&self) {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "contest": row.contest, "name": row.name, "unit": row.unit.name(),
                    "ours": median(&row.ours), "theirs": median(&row.theirs), "ratio": row.ratio(),
                })
            })
            .collect();
        println!("{}", json!({ "bench": 1, "pairs": self.pairs, "rows": rows }));
    }
}

impl Row {
    /// Ours by theirs.
    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ours)? / median(&self.theirs)?)
    }
}

/// The value in the middle; of an even number of values, the mean of the two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_do_not_care_for_order_or_outliers() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 900.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 900.0]), Some(3.0));
    }

    #[test]
    fn a_row_without_theirs_has_no_ratio() {
        let mut report = Report::new(2);
        report.add("files", "stat", Unit::Nanoseconds, 1.0, None);
        report.add("files", "seek", Unit::Nanoseconds, 1.0, Some(4.0));
        report.add("files", "seek", Unit::Nanoseconds, 3.0, Some(4.0));
        assert_eq!(report.rows.len(), 2);
        assert_eq!(report.rows[0].ratio(), None);
        assert_eq!(report.rows[1].ratio(), Some(0.5));
    }
}
