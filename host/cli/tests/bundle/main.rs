//! Bundles, from an empty folder to a trusted file and back, with everything that can go wrong on the way.
//!
//! Each test runs the real program, with folders of its own for keys, cache and data.

mod desk;

mod damage;
mod input;
mod life;
mod trust;
mod unpack;
mod whole;
