//! Whether a bundle may replace the one that is installed.

use core::cmp::Ordering;

use semver::Version;

/// How an offered version stands to the installed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is higher.
    Upgrade,
    /// It is the same; build metadata does not count.
    Same,
    /// It is lower. An old version can have known holes, so this needs the operator's `--force`.
    Downgrade,
}

impl Change {
    /// Whether the operator has to insist.
    #[must_use]
    pub const fn needs_force(self) -> bool {
        matches!(self, Self::Downgrade)
    }
}

/// Compares by the precedence of Semantic Versioning.
#[must_use]
pub fn change(installed: &Version, offered: &Version) -> Change {
    match offered.cmp_precedence(installed) {
        Ordering::Greater => Change::Upgrade,
        Ordering::Equal => Change::Same,
        Ordering::Less => Change::Downgrade,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_version_needs_force() {
        for (installed, offered, expected) in [
            ("1.2.3", "1.2.4", Change::Upgrade),
            ("1.9.0", "1.10.0", Change::Upgrade),
            ("1.0.0-rc.1", "1.0.0", Change::Upgrade),
            ("1.0.0", "1.0.0+build.7", Change::Same),
            ("1.0.0", "1.0.0-rc.1", Change::Downgrade),
            ("2.0.0", "1.99.99", Change::Downgrade),
        ] {
            let found = change(&installed.parse().unwrap(), &offered.parse().unwrap());
            assert_eq!(found, expected, "{installed} {offered}");
            assert_eq!(found.needs_force(), expected == Change::Downgrade);
        }
    }
}
