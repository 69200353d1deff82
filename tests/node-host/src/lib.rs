//! The core and its memory file system as one WebAssembly module: the proof that nothing of a host leaks into them.
//!
//! `run.mjs` instantiates this module beside the guest. It fills a [`setup`], calls [`setup::start`], and then hands
//! every preview-1 import of the guest to the export of the same name in [`calls`]. What the core needs it asks from
//! the functions in [`imports`]; guest memory is reached through them too, because two instances share none.
//!
//! Text and bytes from JavaScript go through one buffer: `reserve` makes room, JavaScript writes, the next call reads.

mod calls;
mod host;
mod imports;
mod setup;
mod state;
