//! A spinner while a module is compiled, on a terminal, once it takes long enough to be noticed.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How long a compilation may take before it is shown.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// Shows compilations on standard error.
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
