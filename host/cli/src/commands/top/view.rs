//! What `top` shows, apart from how it is drawn.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use clap::ValueEnum;
use qyv_spec::service::Name;
use qyvol_protocol::api::AppSummary;

use crate::usage::Use;

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// The instances' names
    Name,
    /// Processor time, the most first
    #[default]
    Cpu,
    /// Memory, the most first
    Memory,
    /// Requests a second, the most first
    Requests,
}

/// Rows and their order.
pub(super) struct View {
    pub(super) rows: Vec<Use>,
    pub(super) apps: BTreeMap<Name, AppSummary>,
    pub(super) sort: Sort,
    /// Against the usual order.
    pub(super) reversed: bool,
    /// How many rows are above the screen.
    pub(super) offset: usize,
}

impl View {
    pub(super) fn new(sort: Sort) -> Self {
        Self { rows: Vec::new(), apps: BTreeMap::new(), sort, reversed: false, offset: 0 }
    }

    /// Shows what was found.
    pub(super) fn show(&mut self, rows: Vec<Use>, apps: Vec<AppSummary>) {
        self.rows = rows;
        self.apps = apps.into_iter().map(|app| (app.app.clone(), app)).collect();
        self.order();
    }

    /// Sorts by something; the second time the other way round.
    pub(super) fn sort(&mut self, by: Sort) {
        self.reversed = self.sort == by && !self.reversed;
        self.sort = by;
        self.order();
    }

    /// Moves the rows by so many; drawing keeps it within them.
    pub(super) fn scroll(&mut self, rows: isize) {
        self.offset = self.offset.saturating_add_signed(rows);
    }

    fn order(&mut self) {
        let (by, reversed) = (self.sort, self.reversed);
        self.rows.sort_by(|a, b| {
            let names = a.row.instance.cmp(&b.row.instance);
            let rate = |of: fn(&Use) -> Option<f64>| {
                let (a, b) = (of(a).unwrap_or(-1.0), of(b).unwrap_or(-1.0));
                b.partial_cmp(&a).unwrap_or(Ordering::Equal)
            };
            let order = match by {
                Sort::Name => Ordering::Equal,
                Sort::Cpu => rate(|one| one.cpu_percent),
                Sort::Memory => b.row.memory.cmp(&a.row.memory),
                Sort::Requests => rate(|one| one.requests_per_second),
            };
            // Equal ones stay where they are from second to second.
            let order = order.then(names);
            if reversed { order.reverse() } else { order }
        });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use qyvol_protocol::api::UsageRow;

    pub(in super::super) fn used(instance: &str, cpu: f64, memory: u64) -> Use {
        let row = UsageRow {
            instance: instance.parse().unwrap(),
            cpu_ns: 0,
            memory,
            memory_limit: 256 << 20,
            fds: 3,
            connections: 0,
            log_bytes: 0,
            log_dropped: 0,
            requests: 0,
        };
        Use { row, cpu_percent: Some(cpu), requests_per_second: None }
    }

    fn order(view: &View) -> String {
        view.rows.iter().map(|one| one.row.instance.app.as_str()).collect()
    }

    #[test]
    fn a_key_sorts_and_the_second_time_the_other_way_round() {
        let mut view = View::new(Sort::Cpu);
        view.show(vec![used("a.0@1", 1.0, 7), used("b.0@1", 9.0, 5), used("c.0@1", f64::NAN, 9)], Vec::new());
        assert_eq!(&order(&view)[..1], "b");
        view.sort(Sort::Memory);
        assert_eq!(order(&view), "cab");
        view.sort(Sort::Memory);
        assert_eq!(order(&view), "bac");
        view.sort(Sort::Name);
        assert_eq!(order(&view), "abc");
        view.sort(Sort::Name);
        assert_eq!(order(&view), "cba");
        view.scroll(-5);
        assert_eq!(view.offset, 0);
    }
}
