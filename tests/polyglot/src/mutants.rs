//! Hosts that do one thing wrong. Under each, its check must fail: a harness that cannot fail proves nothing.
//!
//! They are the host of [`Inside`](crate::Inside) with one part wrapped; the wrapping is where the part is, beneath
//! `inside/`.

use crate::check::Check;

/// A host that does one thing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The check that must fail.
    pub check: Check,
    /// What is wrong.
    pub wrong: Wrong,
    /// The same in words.
    pub what: &'static str,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says it in words")]
pub enum Wrong {
    ExitZero,
    CutArguments,
    DropEmptyVariables,
    ShortInput,
    LateErrors,
    AppendFirst,
    ForgetRename,
    ShortListing,
    AccessForMissing,
    WritablePackage,
    ShortReads,
    BackwardClock,
    LateClock,
    ZeroRandom,
    SameRandom,
    NoSleep,
    TwiceTheMemory,
    NoTimeLimit,
    SwallowErrors,
    ChangedEcho,
    CutConnection,
    DialAnything,
    MissingForRefused,
    Comma,
}

const fn mutant(check: Check, wrong: Wrong, what: &'static str) -> Mutant {
    Mutant { check, wrong, what }
}

/// All of them. `contract.md` has the same table.
pub const ALL: [Mutant; 27] = [
    mutant(Check::Exit, Wrong::ExitZero, "reports exit code 0"),
    mutant(Check::Args, Wrong::CutArguments, "cuts an argument at a space"),
    mutant(Check::Env, Wrong::DropEmptyVariables, "drops variables that are empty"),
    mutant(Check::Stdin, Wrong::ShortInput, "ends standard input one byte early"),
    mutant(Check::Streams, Wrong::LateErrors, "gives standard error on at the end"),
    mutant(Check::Files, Wrong::AppendFirst, "appends at the beginning"),
    mutant(Check::Files, Wrong::ForgetRename, "forgets a rename"),
    mutant(Check::Files, Wrong::ShortListing, "leaves names out of a listing"),
    mutant(Check::Missing, Wrong::AccessForMissing, "answers `acces` where there is no file"),
    mutant(Check::Readonly, Wrong::WritablePackage, "denial off: everything may be written"),
    mutant(Check::Big, Wrong::ShortReads, "one read in a hundred is cut short and called whole"),
    mutant(Check::Clocks, Wrong::BackwardClock, "the monotonic clock goes back"),
    mutant(Check::Clocks, Wrong::LateClock, "the wall clock is an hour late"),
    mutant(Check::Random, Wrong::ZeroRandom, "all bytes are 0"),
    mutant(Check::Random, Wrong::SameRandom, "gives the same bytes in each run"),
    mutant(Check::Sleep, Wrong::NoSleep, "a wait is over at once"),
    mutant(Check::Memory, Wrong::TwiceTheMemory, "its limit is twice what was said"),
    mutant(Check::Memory, Wrong::ExitZero, "says exit 0"),
    mutant(Check::Loop, Wrong::NoTimeLimit, "has no time limit: the harness's own deadline ends it"),
    mutant(Check::Recursion, Wrong::ExitZero, "says exit 0"),
    mutant(Check::Uncaught, Wrong::ExitZero, "says exit 0"),
    mutant(Check::Uncaught, Wrong::SwallowErrors, "swallows standard error"),
    mutant(Check::Dial, Wrong::ChangedEcho, "the echo changes one byte"),
    mutant(Check::Serve, Wrong::CutConnection, "the connection ends after the first line"),
    mutant(Check::Refused, Wrong::DialAnything, "denial off: the dial succeeds"),
    mutant(Check::Refused, Wrong::MissingForRefused, "says `noent`"),
    mutant(Check::Numbers, Wrong::Comma, "swaps point and comma in what is printed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_mutant_and_the_contract_names_it() {
        let contract = include_str!("../contract.md");
        let (_, table) = contract.split_once("## Mutant hosts").unwrap();
        for check in Check::ALL {
            assert!(ALL.iter().any(|mutant| mutant.check == check), "{check}");
        }
        for mutant in ALL {
            let line =
                table.lines().find(|line| line.starts_with(&format!("| `{}` |", mutant.check))).unwrap();
            assert!(line.contains(mutant.what), "{}: {}", mutant.check, mutant.what);
        }
    }
}
