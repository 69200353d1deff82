//! All checks of an app on a host, and all mutants.

use anyhow::Result;

use crate::case::Case;
use crate::check::Check;
use crate::inside::Inside;
use crate::judge::judge;
use crate::languages::Language;
use crate::mutants::{self, Mutant};
use crate::outcome::Outcome;
use crate::pool;
use crate::sums::SplitMix64;

/// Runs cases of one app.
pub trait Host: Sync {
    /// Runs the app once.
    ///
    /// # Errors
    ///
    /// When the host, not the app, has failed.
    fn run(&self, case: &Case) -> Result<Outcome>;
}

/// How a check went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The check.
    pub check: Check,
    /// Whether the language is known not to pass it.
    pub miss: Option<String>,
    /// What differs from the contract; empty when it is passed.
    pub wrong: Vec<String>,
}

/// What a verdict is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// As the contract says.
    Yes,
    /// Not, for a cause that is named.
    Missed,
    /// Not; or it was named a miss, and passes.
    No,
}

impl Verdict {
    /// What it is worth.
    #[must_use]
    pub fn passed(&self) -> Passed {
        match (self.wrong.is_empty(), &self.miss) {
            (true, None) => Passed::Yes,
            (false, Some(_)) => Passed::Missed,
            (true, Some(_)) | (false, None) => Passed::No,
        }
    }
}

/// Runs checks on a host. The same `number` gives the same cases.
pub fn run_checks(host: &dyn Host, language: &Language, checks: &[Check], number: u64) -> Vec<Verdict> {
    // The longest first, so that nothing is waited for alone at the end.
    let mut order = checks.to_vec();
    order.sort_by_key(|check| {
        !matches!(check, Check::Serve | Check::Loop | Check::Dial | Check::Refused | Check::Memory)
    });
    let mut verdicts = pool::map(&order, |check| Verdict {
        check: *check,
        miss: language.miss(*check).map(str::to_owned),
        wrong: verdict(host, language, *check, number),
    });
    verdicts.sort_by_key(|verdict| verdict.check);
    verdicts
}

/// Runs every mutant that there is for these checks; what each did that a right host does not. A mutant whose list is
/// empty was not noticed.
#[must_use]
pub fn run_mutants(
    host: &Inside,
    language: &Language,
    checks: &[Check],
    number: u64,
) -> Vec<(Mutant, Vec<String>)> {
    let mutants: Vec<Mutant> = mutants::ALL
        .into_iter()
        .filter(|mutant| checks.contains(&mutant.check) && language.miss(mutant.check).is_none())
        .collect();
    let noticed = pool::map(&mutants, |mutant| verdict(&host.wrong(*mutant), language, mutant.check, number));
    mutants.into_iter().zip(noticed).collect()
}

fn verdict(host: &dyn Host, language: &Language, check: Check, number: u64) -> Vec<String> {
    let mut generator = SplitMix64(number ^ (check as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let runs: Result<Vec<_>> = (0..check.runs())
        .map(|_| {
            let case = Case::new(check, generator.draw());
            let outcome = host.run(&case)?;
            Ok((case, outcome))
        })
        .collect();
    match runs {
        Ok(runs) => judge(&runs, language),
        Err(error) => vec![format!("{error:#}")],
    }
}
