//! What processes use, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// What one tick of the kernel's accounting is, on every Linux that programs can ask.
const TICK: Duration = Duration::from_millis(10);

/// Memory and processor time of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Memory in KiB, each page counted by the part that is theirs.
    pub(super) pss: u32,
    /// Memory in KiB, each page counted whole in each process.
    pub(super) rss: u32,
    pub(super) cpu: Duration,
}

impl Usage {
    pub(super) fn of(pids: &[u32]) -> Result<Self> {
        let mut sum = Self::default();
        for pid in pids {
            let read = |file: &str| {
                let path = format!("/proc/{pid}/{file}");
                fs::read_to_string(&path).with_context(|| format!("read `{path}`"))
            };
            let memory = read("smaps_rollup")?;
            sum.pss += kibibytes(&memory, "Pss:");
            sum.rss += kibibytes(&memory, "Rss:");
            sum.cpu += TICK * ticks(&read("stat")?);
        }
        Ok(sum)
    }
}

fn kibibytes(rollup: &str, name: &str) -> u32 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The ticks of processor time, the program's and the kernel's for it.
fn ticks(stat: &str) -> u32 {
    // The name within parentheses may hold anything; the times are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(kibibytes("7f00 [rollup]\nRss:    12 kB\nPss:     7 kB\nPss_Anon: 3 kB\n", "Pss:"), 7);
        assert_eq!(ticks("12 (a) b c) S 1 2 3 4 5 6 7 8 9 10 31 11 0 0 20 0"), 42);
        let own = Usage::of(&[std::process::id()]).unwrap();
        assert!(own.pss > 100 && own.rss >= own.pss, "{own:?}");
    }
}
