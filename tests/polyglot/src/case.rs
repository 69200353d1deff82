//! What one run of an app is given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::check::Check;
use crate::sums::SplitMix64;

/// `limits.memory` of every contract app, as the manifest has it.
pub(crate) const MEMORY_BYTES: u64 = 128 << 20;
/// How long `sleep` sleeps. Longer than a start takes, so that a wait which is over at once is seen from outside.
pub(crate) const SLEEP: Duration = Duration::from_millis(700);
/// How far the wall clock may be from this process's.
const CLOCK_SLACK: Duration = Duration::from_secs(600);
/// How many bytes `stdin` is given at most: more than a pipe holds.
const STDIN_BYTES_MAX: u64 = 150_000;

/// One run.
#[derive(Clone, Debug)]
pub struct Case {
    /// The check.
    pub check: Check,
    /// What the app computes from.
    pub seed: u64,
    /// 16 hexadecimal digits.
    pub nonce: String,
    /// Further arguments.
    pub more: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// What the other side of `serve` says.
    pub lines: Vec<String>,
}

impl Case {
    /// The run that follows from a number: the same number gives the same run, but for the time of `clocks`.
    #[must_use]
    pub fn new(check: Check, number: u64) -> Self {
        let mut generator = SplitMix64(number);
        let mut case = Self {
            check,
            seed: generator.draw(),
            nonce: format!("{:016x}", generator.draw()),
            more: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            lines: Vec::new(),
        };
        case.fill(&mut generator);
        case
    }

    fn fill(&mut self, generator: &mut SplitMix64) {
        let word = format!("{:x}", generator.draw());
        match self.check {
            Check::Args => {
                let fixed =
                    ["it's\"", "", "two words", "  ", "ñandú 日本 🐉", "--help", "-x=1", "$HOME\\n`*`;&|"];
                self.more = fixed.map(str::to_owned).into();
                self.more.push(word);
            }
            Check::Env => {
                let variables = [
                    ("POLYGLOT_TEXT", word.as_str()),
                    ("POLYGLOT_EMPTY", ""),
                    ("POLYGLOT_SIGNS", "a=b 'ñ' \"日\" "),
                ];
                self.environment = variables.map(|(name, value)| (name.into(), value.into())).into();
                let asked = ["POLYGLOT_SIGNS", "POLYGLOT_ABSENT", "POLYGLOT_EMPTY", "POLYGLOT_TEXT"];
                self.more = asked.map(str::to_owned).into();
            }
            Check::Stdin => {
                self.stdin = (0..=255).collect();
                let length = 1000 + generator.draw() % STDIN_BYTES_MAX;
                self.stdin.extend(generator.bytes(usize::try_from(length).unwrap_or(1000)));
                // Not a newline: what reads lines shows.
                self.stdin.push(b'.');
            }
            Check::Clocks => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let bounds = [now.saturating_sub(CLOCK_SLACK), now + CLOCK_SLACK];
                self.more = bounds.map(|bound| bound.as_secs().to_string()).into();
            }
            Check::Sleep => self.more = vec![SLEEP.as_millis().to_string()],
            Check::Serve => {
                let count = 3 + generator.draw() % 5;
                self.lines =
                    (0..count).map(|index| format!("line {index} ñ {:x}", generator.draw())).collect();
            }
            Check::Numbers => self.environment = vec![("LC_ALL".into(), "de_DE.UTF-8".into())],
            _ => {}
        }
    }

    /// All arguments after the program's name.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![self.check.name().to_owned(), self.seed.to_string(), self.nonce.clone()];
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_decides_the_run_and_another_gives_another() {
        let case = |number| Case::new(Check::Stdin, number);
        assert_eq!(case(5).arguments(), case(5).arguments());
        assert_eq!(case(5).stdin, case(5).stdin);
        assert_ne!(case(5).nonce, case(6).nonce);
        assert_ne!(case(5).stdin, case(6).stdin);
        assert!(case(5).nonce.len() == 16 && case(5).stdin.len() > 1000);
    }
}
