//! Runs the contract apps of all languages and judges what they do; `contract.md` is the contract.
//!
//! A *case* is one run with its arguments and input; a *host* runs it and says what became of it, an *outcome*; the
//! *judge* compares that with what the contract says. Hosts are the real one, as a person starts it ([`Real`]), and one
//! made of the same core in this process ([`Inside`]), of which there are variants that each do one thing wrong
//! ([`mutants`]): under those the check must fail.

mod anchors;
mod case;
mod check;
mod deployed;
mod example;
mod expected;
mod inside;
mod judge;
mod languages;
pub mod mutants;
mod outcome;
mod places;
mod pool;
mod process;
mod qyvol;
mod real;
mod sdks;
mod stage;
mod suite;
mod sums;

pub use anchors::Anchor;
pub use case::Case;
pub use check::Check;
pub use deployed::Daemon;
pub use example::example;
pub use inside::Inside;
pub use judge::judge;
pub use languages::{Language, all as all_languages};
pub use outcome::{Class, Outcome};
pub use qyvol::Qyvol;
pub use real::Real;
pub use sdks::sdks;
pub use stage::{App, Built, build};
pub use suite::{Host, Passed, Verdict, run_checks, run_mutants};
