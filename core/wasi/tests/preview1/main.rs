//! The calls of preview 1 as a guest makes them, over a memory that is a vector, a scripted host and files in memory.
//! Each test runs twice: with the memory lent in place, and copied.

mod descriptors;
mod directories;
mod files;
mod hostile;
mod listening;
mod network;
mod paths;
mod polling;
mod refusals;
mod services;
mod sockets;
mod startup;
mod streams;
mod support;
