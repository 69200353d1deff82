//! What a Qyvol app is and what it asks for.
//!
//! A `.qyv` text is read as a [`Manifest`] (what was written), resolved into an [`App`] (every default explicit, every
//! file hashed; what is signed, stored and shown), and an operator's [`Grants`] decide what it gets: [`decide`].
//!
//! This crate does no I/O: it knows no files of a host, no clocks and no engines. Without features it is `no_std` and
//! reads resolved apps only; YAML text is feature `yaml`, the JSON Schema is feature `schema`.

#![cfg_attr(not(any(feature = "std", feature = "yaml", feature = "schema", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod manifest;

pub mod app;

pub mod grants;

pub mod service;

pub mod bundle;

pub mod quantity;

mod problem;
mod text;

#[cfg(feature = "yaml")]
pub mod yaml;

#[cfg(feature = "schema")]
pub mod schema;

pub use app::App;
pub use grants::{Capabilities, Grants, Policy, Requests, decide};
pub use manifest::Manifest;
pub use problem::{Invalid, KeyPath, Problem, Step};
pub use service::Name;
