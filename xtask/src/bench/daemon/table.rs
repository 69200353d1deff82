//! What was measured beside what is wanted.

use serde_json::json;

use crate::bench::report::{Unit, median};

/// What is wanted of a number.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    /// It is there to be looked at.
    None,
    AtMost(f64),
    AtLeast(f64),
    /// At most so many times the rival's.
    RatioAtMost(f64),
    /// At least so many times the rival's.
    RatioAtLeast(f64),
}

/// One line of the table.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: Unit,
    pub(super) ours: f64,
    pub(super) theirs: Option<f64>,
    pub(super) goal: Goal,
}

/// All lines.
#[derive(Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    /// Adds a number without a rival, and shows it at once: the whole takes minutes.
    pub(super) fn add(&mut self, what: &str, unit: Unit, ours: f64, goal: Goal) {
        self.push(Row { what: what.to_owned(), unit, ours, theirs: None, goal });
    }

    /// Adds the medians of two series.
    pub(super) fn beside(&mut self, what: &str, unit: Unit, ours: &[f64], theirs: &[f64], goal: Goal) {
        let Some(ours) = median(ours) else { return };
        self.push(Row { what: what.to_owned(), unit, ours, theirs: median(theirs), goal });
    }

    fn push(&mut self, row: Row) {
        eprintln!("  {}", row.line());
        self.0.push(row);
    }

    pub(super) fn print(&self) {
        println!("\n| what | qyvol | wasmtime | ratio | goal | |\n|---|---:|---:|---:|---:|---|");
        for row in &self.0 {
            println!("{}", row.line());
        }
    }

    pub(super) fn print_json(&self) {
        let row = |row: &Row| {
            json!({
                "name": row.what, "unit": row.unit.name(), "ours": row.ours, "theirs": row.theirs,
                "ratio": row.ratio(), "met": row.met(),
            })
        };
        println!(
            "{}",
            json!({ "bench": 1, "of": "daemon", "rows": self.0.iter().map(row).collect::<Vec<_>>() })
        );
    }
}

impl Row {
    /// Ours by theirs.
    fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| self.ours / theirs)
    }

    /// Whether the goal is met; `None` when there is none, or no rival to compare with.
    fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::None => None,
            Goal::AtMost(most) => Some(self.ours <= most),
            Goal::AtLeast(least) => Some(self.ours >= least),
            Goal::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Goal::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
        }
    }

    fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or("–".into(), |value| self.unit.show(value));
        let goal = match self.goal {
            Goal::None => "–".to_owned(),
            Goal::AtMost(most) => format!("≤ {}", self.unit.show(most)),
            Goal::AtLeast(least) => format!("≥ {}", self.unit.show(least)),
            Goal::RatioAtMost(most) => format!("≤ {most:.1} x"),
            Goal::RatioAtLeast(least) => format!("≥ {least:.1} x"),
        };
        let ratio = self.ratio().map_or("–".into(), |ratio| format!("{ratio:.2}"));
        let met = match self.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let (ours, theirs) = (number(Some(self.ours)), number(self.theirs));
        format!("| {} | {ours} | {theirs} | {ratio} | {goal} | {met} |", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_or_missed_or_not_there() {
        let row = |ours, theirs, goal| Row { what: "x".into(), unit: Unit::Milliseconds, ours, theirs, goal };
        assert_eq!(row(1.0, None, Goal::AtMost(1.0)).met(), Some(true));
        assert_eq!(row(1.1, None, Goal::AtMost(1.0)).met(), Some(false));
        assert_eq!(row(0.98, None, Goal::AtLeast(0.99)).met(), Some(false));
        assert_eq!(row(2.0, Some(10.0), Goal::RatioAtMost(0.2)).met(), Some(true));
        assert_eq!(row(9.0, Some(10.0), Goal::RatioAtLeast(1.0)).met(), Some(false));
        assert_eq!(row(9.0, None, Goal::RatioAtLeast(1.0)).met(), None);
        assert_eq!(
            row(2.0, Some(10.0), Goal::RatioAtMost(0.2)).line(),
            "| x | 2.0 ms | 10.0 ms | 0.20 | ≤ 0.2 x | met |"
        );
    }
}
