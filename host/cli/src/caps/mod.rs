//! What a program needs, told from its bytes alone: nothing is compiled or run.
//!
//! [`mod@scan`] reads the bytes, [`world`] names the system that they were built for, [`rights`] holds what they import
//! against what a manifest asks for.

mod rights;
mod scan;
mod world;

pub(crate) use rights::{Need, Unused, needs, unused};
pub(crate) use scan::{Form, Scan, scan};
#[cfg(test)]
use world::World;
pub(crate) use world::{Verdict, verdict};

#[cfg(test)]
mod tests;
