//! The calls of preview 1 as a guest makes them, over a memory that is a vector, a scripted host and files in memory.
//! Each test runs twice: with the memory lent in place, and copied.

mod descriptors;
mod directories;
mod files;
mod hostile;
mod paths;
mod polling;
mod refusals;
mod startup;
mod streams;
mod support;
