//! The model with its own slots, driven by the same operations.

use std::collections::BTreeMap;

use qyv_vfs::{Error, Result};

use crate::model::{Body, Model, Open};
use crate::ops::{Base, Op, SLOTS};
use crate::outcome::{Described, Outcome};

#[derive(Clone)]
pub(crate) struct Reference {
    model: Model,
    slots: [Option<Open>; SLOTS],
}

impl Reference {
    pub(crate) fn new() -> Self {
        Self { model: Model::new(), slots: Default::default() }
    }

    pub(crate) fn put_below(&mut self) {
        self.model.put_below();
    }

    pub(crate) fn close_all(&mut self) {
        self.slots = Default::default();
    }

    /// Whether a call would be on an empty slot.
    pub(crate) fn leaves_out(&self, op: &Op) -> bool {
        let empty = |slot: usize| self.slots[slot].is_none();
        match op {
            Op::Read { slot, .. }
            | Op::Write { slot, .. }
            | Op::Append { slot, .. }
            | Op::SetSize { slot, .. }
            | Op::Allocate { slot, .. }
            | Op::Attributes { slot }
            | Op::SetTimes { slot, .. } => empty(*slot),
            Op::List { slot, between, .. } => {
                // What happens in between must leave the slot open: a listing ends with its descriptor.
                let closes = match between.as_deref() {
                    Some(Op::Close { slot: other } | Op::Open { slot: other, .. }) => other == slot,
                    _ => false,
                };
                // A file is not listed at all, neither before nor after.
                let file = || between.is_some() && self.model.entries(self.slot(*slot).ino).is_err();
                empty(*slot) || closes || file() || between.as_ref().is_some_and(|op| self.leaves_out(op))
            }
            _ => false,
        }
    }

    fn base(&self, base: Base) -> Open {
        let base = base.and_then(|slot| self.slots[slot].clone());
        base.filter(|open| self.model.entries(open.ino).is_ok()).unwrap_or_else(|| self.model.root())
    }

    fn slot(&self, slot: usize) -> Open {
        self.slots[slot].clone().expect("calls on empty slots are left out")
    }

    /// The names that a listing must show exactly once: those that mean the same before and after the call in between.
    pub(crate) fn listed(&self, op: &Op) -> Vec<String> {
        let Op::List { slot, between, .. } = op else { return Vec::new() };
        let ino = self.slot(*slot).ino;
        let mut after = self.clone();
        if let Some(between) = between {
            let _ = after.apply(between, &Ok(Outcome::Done), false);
        }
        let (Ok(before), Ok(after)) = (self.model.entries(ino), after.model.entries(ino)) else {
            return Vec::new();
        };
        before
            .iter()
            .filter(|(name, ino)| after.get(*name) == Some(*ino))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Makes one call. `actual` is what a file system gave: how much of a write fitted into its quota.
    pub(crate) fn apply(&mut self, op: &Op, actual: &Result<Outcome>, overlay: bool) -> Result<Outcome> {
        let done = |result: Result<()>| result.map(|()| Outcome::Done);
        let wrote = |lengths: &[usize; 2]| {
            let asked = lengths.iter().sum();
            match actual {
                Ok(Outcome::Wrote(count @ 1.., _)) if *count < asked => (asked, *count),
                _ => (asked, asked),
            }
        };
        let written = |(count, end)| Outcome::Wrote(count, end);
        match op {
            Op::Open { slot, base, path, follow, options } => {
                let open = self.model.open(&self.base(*base), path, *follow, options)?;
                let kind = self.model.kind(open.ino);
                self.slots[*slot] = Some(open);
                Ok(Outcome::Opened(kind))
            }
            Op::Close { slot } => {
                self.slots[*slot] = None;
                Ok(Outcome::Done)
            }
            Op::Read { slot, offset, lengths } => {
                self.model.read(&self.slot(*slot), *offset, *lengths, overlay).map(Outcome::Bytes)
            }
            Op::Write { slot, offset, lengths, byte } => {
                let (asked, count) = wrote(lengths);
                self.model.write(&self.slot(*slot), Some(*offset), asked, count, *byte).map(written)
            }
            Op::Append { slot, lengths, byte } => {
                let (asked, count) = wrote(lengths);
                self.model.write(&self.slot(*slot), None, asked, count, *byte).map(written)
            }
            Op::SetSize { slot, size } => done(self.model.set_size(&self.slot(*slot), *size)),
            Op::Allocate { slot, offset, length } => {
                done(self.model.allocate(&self.slot(*slot), *offset, *length))
            }
            Op::Attributes { slot } => {
                Ok(Outcome::Attributes(self.model.attributes(&self.slot(*slot), overlay)))
            }
            Op::AttributesAt { base, path, follow } => {
                self.model.attributes_at(&self.base(*base), path, *follow).map(Outcome::Attributes)
            }
            Op::SetTimes { slot, modified, .. } => {
                self.model.set_times(self.slot(*slot).ino, *modified);
                Ok(Outcome::Done)
            }
            Op::SetTimesAt { base, path, follow, modified, .. } => {
                done(self.model.set_times_at(&self.base(*base), path, *follow, *modified))
            }
            Op::ReadLink { base, path } => self.model.read_link(&self.base(*base), path).map(Outcome::Target),
            Op::CreateDir { base, path } => done(self.model.create_dir(&self.base(*base), path)),
            Op::RemoveDir { base, path } => done(self.model.remove_dir(&self.base(*base), path)),
            Op::Unlink { base, path } => done(self.model.unlink(&self.base(*base), path)),
            Op::Rename { from_base, from, to_base, to } => {
                done(self.model.rename(&self.base(*from_base), from, &self.base(*to_base), to))
            }
            Op::Link { from_base, from, follow, to_base, to } => {
                done(self.model.link(&self.base(*from_base), from, *follow, &self.base(*to_base), to))
            }
            Op::Symlink { target, base, path } => done(self.model.symlink(target, &self.base(*base), path)),
            Op::List { slot, between, .. } => {
                let ino = self.slot(*slot).ino;
                let names = |model: &Model| -> Result<Vec<_>> {
                    let entries = model.entries(ino)?.iter();
                    Ok(entries.map(|(name, &ino)| (name.clone(), model.kind(ino))).collect())
                };
                let names = names(&self.model)?;
                let did = match actual {
                    Ok(Outcome::Names { between: Some(did), .. }) => (**did).clone(),
                    _ => Ok(Outcome::Done),
                };
                let between = between.as_ref().map(|op| match did {
                    // A quota's refusal has no effect, and no counterpart here.
                    Err(Error::NOSPC | Error::NOMEM) => Box::new(did),
                    _ => Box::new(self.apply(op, &did, overlay)),
                });
                Ok(Outcome::Names { names, between })
            }
        }
    }

    /// The whole tree, by path.
    pub(crate) fn dump(&self) -> BTreeMap<String, Described> {
        let mut tree = BTreeMap::new();
        self.dump_dir(&self.model.root(), "", &mut tree);
        tree
    }

    fn dump_dir(&self, dir: &Open, prefix: &str, tree: &mut BTreeMap<String, Described>) {
        let Ok(entries) = self.model.entries(dir.ino) else { return };
        for (name, &ino) in entries {
            let path = format!("{prefix}{name}");
            let open = Open::plain(ino);
            let (bytes, target) = match &self.model.inodes[&ino].body {
                Body::File(bytes) => (bytes.clone(), None),
                Body::Link(target) => (Vec::new(), Some(target.clone())),
                Body::Dir(_) => (Vec::new(), None),
            };
            self.dump_dir(&open, &format!("{path}/"), tree);
            tree.insert(path, Described { attributes: self.model.attributes(&open, false), bytes, target });
        }
    }
}
