//! Goal: apps live as their manifests say, whatever happens in whatever order.
//! Method: each rule by a short story told to a supervisor (`rules`, `replace`, `stopping`, `clock`); and random events against a host
//! that checks each action (`random`).

mod clock;
mod desk;
mod random;
mod replace;
mod rules;
mod stopping;
