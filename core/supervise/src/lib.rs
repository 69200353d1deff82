//! The life of apps as a state machine: events in, actions out.
//!
//! A [`Supervisor`] holds the apps of one host. The host tells it what it is asked to do ([`Supervisor::deploy`],
//! [`Supervisor::stop`] …), what happened ([`Supervisor::handle`]) and that time has passed ([`Supervisor::tick`], due at
//! [`Supervisor::next_deadline`]); each call appends the [`Action`]s that the host must do. It reads no clock and does no
//! I/O: the same events give the same actions.
//!
//! It works by level, not by edge: an event changes what is known, then the app is compared with what is wanted, and the
//! difference becomes actions. So what is asked during something else needs no rule of its own: a stop during a start, a
//! deploy during a stop, a scale during a replacement all change what is wanted.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod app;
mod backoff;
mod cron;
mod event;
mod health;
mod order;
mod record;
mod refused;
mod rollout;
mod slot;
mod spec;
mod state;
mod supervisor;

pub use backoff::{BACKOFF_FIRST_NS, BACKOFF_MAX_NS, CRASH_LOOP_RESTARTS, STABLE_NS};
pub use event::{Action, Cause, Change, Event, Instance, KILL_AGAIN_MAX_NS, Now, WHY_BYTES_MAX};
pub use record::{Deployed, Desired, Record};
pub use refused::Refused;
pub use rollout::PROGRESS_NS;
pub use spec::LifeSpec;
pub use state::{Outcome, SlotStatus, State, Status};
pub use supervisor::{APPS_MAX, Config, SLOTS_MAX, Supervisor};
