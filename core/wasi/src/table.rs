//! The descriptor table: small numbers for open things, the lowest free number first.

use alloc::vec::Vec;

use qyv_vfs::{Budget, Charge, Error, Node, Result};

use crate::Source;
use crate::limits::FDS_MAX;
use crate::origin::Origin;
use crate::services::Info;

/// An open thing with what may be done to it.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    /// `rights` bits that it was opened with.
    opened: u64,
    /// Those of them that were not given up since.
    pub(crate) rights: u64,
    /// `rights` bits for what is opened through it.
    pub(crate) inheriting: u64,
    /// `fdflags` bits.
    pub(crate) flags: u16,
}

impl Descriptor {
    pub(crate) const fn new(kind: Kind, rights: u64, inheriting: u64, flags: u16) -> Self {
        Self { kind, opened: rights, rights, inheriting, flags }
    }

    /// Whether it has all these rights. `BADF` when it never had one of them, as when a file was opened for something
    /// else or a directory is read; `NOTCAPABLE` when one was given up.
    pub(crate) fn require(&self, rights: u64) -> Result<()> {
        if self.rights & rights == rights {
            Ok(())
        } else if self.opened & rights == rights {
            Err(Error::NOTCAPABLE)
        } else {
            Err(Error::BADF)
        }
    }

    /// The guest path of a preopened directory.
    pub(crate) fn preopened_as(&self) -> Option<&str> {
        match &self.kind {
            Kind::Directory { origin, .. } | Kind::ClosedRoot { origin } | Kind::Services { origin } => {
                origin.is_preopen().then(|| origin.preopened())
            }
            Kind::Source(_) | Kind::File { .. } | Kind::Info { .. } => None,
        }
    }

    /// Where it lies, for files and directories.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        match &self.kind {
            Kind::Directory { origin, .. }
            | Kind::File { origin, .. }
            | Kind::ClosedRoot { origin }
            | Kind::Services { origin } => Some(origin),
            Kind::Source(_) | Kind::Info { .. } => None,
        }
    }

    /// Whether all these `fdflags` are set.
    pub(crate) fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }
}

/// What is open.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A stream, a connection or a listener of the host.
    Source(Source),
    /// A regular file. Preview 1 has no `dup`, so the offset belongs to the one descriptor.
    File {
        node: Node,
        offset: u64,
        origin: Origin,
    },
    Directory {
        node: Node,
        origin: Origin,
    },
    /// The root of an app that was granted no files.
    ClosedRoot {
        origin: Origin,
    },
    /// `/svc`.
    Services {
        origin: Origin,
    },
    /// The description of a service.
    Info {
        info: Info,
        offset: u64,
    },
}

/// Open descriptors by number.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
    /// One bit a slot, set when it is taken: finding the lowest free number looks at 64 at once.
    taken: Vec<u64>,
    limit: u32,
    /// Counts what is open, for whoever looks from outside, and what other processes hold of the same limit.
    counter: Budget,
    /// What is open here, and room for one more that was reserved.
    open: Charge,
    count: u64,
    /// Holds the bytes of `slots`.
    charge: Charge,
}

/// Slots are added in such steps, so that a charge is rare.
const STEP: usize = 64;

impl Table {
    /// What is open is counted in `counter` too, beside what others count there. `INVAL` unless `limit` is 3 to
    /// [`FDS_MAX`].
    pub(crate) fn new(limit: u32, counter: Option<Budget>, budget: &Budget) -> Result<Self> {
        if !(3..=FDS_MAX).contains(&limit) {
            return Err(Error::INVAL);
        }
        let counter = counter.unwrap_or_else(|| Budget::new(limit.into()));
        let (open, charge) = (counter.hold(), budget.hold());
        Ok(Self { slots: Vec::new(), taken: Vec::new(), limit, counter, open, count: 0, charge })
    }

    /// The counter of what is open; its limit is that of descriptors.
    pub(crate) fn counter(&self) -> &Budget {
        &self.counter
    }

    /// Counts `most` of what is open on, for whoever keeps them open elsewhere.
    pub(crate) fn into_charge(mut self, most: u64) -> Charge {
        self.open.shrink(self.open.amount().saturating_sub(most));
        self.open
    }

    /// `BADF` when it is not open.
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Error::BADF)
    }

    /// `BADF` when it is not open.
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Error::BADF)
    }

    /// Makes sure that [`insert`](Self::insert) will succeed, until [`release`](Self::release). `MFILE` at the limit,
    /// `NOMEM` when the budget is exhausted.
    pub(crate) fn reserve(&mut self) -> Result<u32> {
        let word = self.taken.iter().position(|&word| word != u64::MAX).unwrap_or(self.taken.len());
        let bit = self.taken.get(word).map_or(0, |word| word.trailing_ones() as usize);
        let free = word * STEP + bit;
        if free >= self.limit as usize {
            return Err(Error::MFILE);
        }
        if word == self.taken.len() {
            let slots = (word + 1) * STEP;
            let bytes = slots * size_of::<Option<Descriptor>>() + (word + 1) * size_of::<u64>();
            if !self.charge.try_resize(bytes as u64) {
                return Err(Error::NOMEM);
            }
            self.slots.resize_with(slots, || None);
            self.taken.push(0);
        }
        if !self.open.try_resize(self.count + 1) {
            return Err(Error::MFILE);
        }
        Ok(free as u32)
    }

    /// Gives back the room that was reserved and not used: what only waits or failed has nothing open.
    pub(crate) fn release(&mut self) {
        self.open.shrink(self.open.amount().saturating_sub(self.count));
    }

    /// Puts a descriptor at the lowest free number.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32> {
        let fd = self.reserve()?;
        self.put(fd, Some(descriptor));
        Ok(fd)
    }

    /// Takes a descriptor out; its owner closes what it names.
    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        self.get(fd)?;
        self.put(fd, None).ok_or(Error::BADF)
    }

    /// Moves `from` to the open number `to` and returns what was there; over itself nothing happens.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Descriptor>> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.put(from, None);
        Ok(self.put(to, moved))
    }

    /// Takes all descriptors out; their owner closes what they name.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Descriptor> + use<> {
        self.taken.clear();
        self.count = 0;
        self.open.shrink(u64::MAX);
        let slots = core::mem::take(&mut self.slots);
        self.charge.shrink(u64::MAX);
        slots.into_iter().flatten()
    }

    fn put(&mut self, fd: u32, descriptor: Option<Descriptor>) -> Option<Descriptor> {
        let fd = fd as usize;
        let (Some(slot), Some(word)) = (self.slots.get_mut(fd), self.taken.get_mut(fd / STEP)) else {
            return descriptor;
        };
        let bit = 1 << (fd % STEP);
        *word = if descriptor.is_some() { *word | bit } else { *word & !bit };
        let before = core::mem::replace(slot, descriptor);
        self.count = (self.count + u64::from(slot.is_some())).saturating_sub(u64::from(before.is_some()));
        self.release();
        before
    }
}
