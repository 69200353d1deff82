//! Tests of several parts together. [`support`] has the world they stand in and the language of their tables.

mod memory;
mod mounts;
mod packed;
mod quota;
mod read_only;
mod resolution;
mod support;
