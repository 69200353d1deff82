//! The twenty checks, by number and name.

use std::fmt;

/// A check of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`contract.md` says what each is")]
pub enum Check {
    Exit,
    Args,
    Env,
    Stdin,
    Streams,
    Files,
    Missing,
    Readonly,
    Big,
    Clocks,
    Random,
    Sleep,
    Memory,
    Loop,
    Recursion,
    Uncaught,
    Dial,
    Serve,
    Refused,
    Numbers,
}

impl Check {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 20] = [
        Self::Exit,
        Self::Args,
        Self::Env,
        Self::Stdin,
        Self::Streams,
        Self::Files,
        Self::Missing,
        Self::Readonly,
        Self::Big,
        Self::Clocks,
        Self::Random,
        Self::Sleep,
        Self::Memory,
        Self::Loop,
        Self::Recursion,
        Self::Uncaught,
        Self::Dial,
        Self::Serve,
        Self::Refused,
        Self::Numbers,
    ];

    /// What the app is told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Args => "args",
            Self::Env => "env",
            Self::Stdin => "stdin",
            Self::Streams => "streams",
            Self::Files => "files",
            Self::Missing => "missing",
            Self::Readonly => "readonly",
            Self::Big => "big",
            Self::Clocks => "clocks",
            Self::Random => "random",
            Self::Sleep => "sleep",
            Self::Memory => "memory",
            Self::Loop => "loop",
            Self::Recursion => "recursion",
            Self::Uncaught => "uncaught",
            Self::Dial => "dial",
            Self::Serve => "serve",
            Self::Refused => "refused",
            Self::Numbers => "numbers",
        }
    }

    /// The check of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }

    /// Whether other apps take part in it, so that it needs a daemon.
    #[must_use]
    pub fn needs_services(self) -> bool {
        matches!(self, Self::Dial | Self::Serve | Self::Refused)
    }

    /// How often it is run: two runs of `random` must differ.
    #[must_use]
    pub fn runs(self) -> usize {
        if self == Self::Random { 2 } else { 1 }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Check;

    #[test]
    fn the_contract_lists_them_in_this_order() {
        let contract = include_str!("../contract.md");
        for (index, check) in Check::ALL.into_iter().enumerate() {
            assert!(contract.contains(&format!("\n| {} | `{check}` |", index + 1)), "{check}");
            assert_eq!(Check::by_name(check.name()), Some(check));
        }
        assert_eq!(Check::by_name("ex"), None);
    }
}
