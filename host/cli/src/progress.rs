//! What takes a while, shown on standard error: a module that is compiled, apps that are on their way up or down.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use qyv_spec::service::Name;

/// How long a compilation may take before it is shown.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// A spinner while a module is compiled, on a terminal, once it takes long enough to be noticed.
#[derive(Default)]
pub(crate) struct Spinner {
    bar: Option<ProgressBar>,
}

impl qyvol_engine::Progress for Spinner {
    fn compiling(&mut self, module_bytes: u64, elapsed: Duration) {
        if elapsed < SHOWN_AFTER || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        bar.set_message(format!("compiling {} … {} s", HumanBytes(module_bytes), elapsed.as_secs()));
        bar.tick();
    }

    fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// More apps than this are shown as a count.
const SHOWN_APPS_MAX: usize = 16;

/// What deployed apps are at, on standard error: on a terminal a line each that changes in place, elsewhere a line for each
/// change.
pub(crate) struct AppsProgress {
    all: MultiProgress,
    bars: BTreeMap<Name, (ProgressBar, String)>,
    /// For many apps: how many of them have arrived.
    count: Option<ProgressBar>,
    on_terminal: bool,
}

impl AppsProgress {
    /// Shows `apps` apps.
    pub(crate) fn new(apps: usize) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let all = MultiProgress::new();
        let count = (on_terminal && apps > SHOWN_APPS_MAX).then(|| {
            let style = ProgressStyle::with_template("{spinner} {pos} of {len} apps")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            all.add(ProgressBar::new(apps as u64).with_style(style))
        });
        Self { all, bars: BTreeMap::new(), count, on_terminal }
    }

    /// An app is at something.
    pub(crate) fn moving(&mut self, app: &Name, status: &str) {
        if self.count.is_some() {
            return;
        }
        let all = &self.all;
        let (bar, shown) = self.bars.entry(app.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = all.add(ProgressBar::new_spinner().with_style(style));
            bar.enable_steady_tick(Duration::from_millis(100));
            (bar, String::new())
        });
        if shown == status {
            return;
        }
        status.clone_into(shown);
        let text = format!("{app}: {}", one_line(status));
        if self.on_terminal {
            bar.set_message(text);
        } else {
            crate::output::note(&text);
        }
    }

    /// An app is there, or will not come.
    pub(crate) fn arrived(&mut self, app: &Name, state: &str, status: &str) {
        if let Some(count) = &self.count {
            count.inc(1);
        }
        let before = self.bars.remove(app);
        if let Some((bar, _)) = &before {
            bar.finish_and_clear();
        }
        let said = !self.on_terminal && before.is_some_and(|(_, shown)| shown == status);
        if !said {
            let text = crate::output::of_state(&one_line(status), state);
            self.all.suspend(|| crate::output::note(&format!("{app}: {text}")));
        }
    }
}

/// Names and messages are the apps': they make no lines of their own, and do not command the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
