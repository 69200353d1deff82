//! Listing a directory, on hosts whose directories have no cookies.

use std::collections::BinaryHeap;
use std::hash::{BuildHasher as _, RandomState};

use cap_std::fs::Dir;
use qyv_vfs::{DirEntry, Error, ReadDir, Result};

use super::attributes::{file_id, kind, stat};
use super::error::call;
use super::names::component;

/// How many names are kept for one reader, at most 255 bytes each. A larger directory is read again for each such part.
const NAMES_MAX: usize = 4096;

/// A reader of one directory.
///
/// Entries come in the order of a hash of their names, and the hash is the cookie: it says where an entry stands
/// whatever is created or removed, without anything to remember. The hash has a secret of its own, so that nobody can
/// choose names that share one.
pub(super) struct Listing {
    /// The names that come after the cookie `after`, in order.
    names: Vec<(u64, String)>,
    after: u64,
    /// Whether none come after those.
    complete: bool,
    names_max: usize,
}

impl Listing {
    pub(super) fn new() -> Self {
        Self { names: Vec::new(), after: 0, complete: false, names_max: NAMES_MAX }
    }

    /// See `FileSystem::read_dir`. Names that are not UTF-8 or not usable here are left out, as are kinds that are not
    /// served, and what is gone by the time it would be handed out.
    pub(super) fn read(
        &mut self,
        dir: &Dir,
        order: &RandomState,
        cookie: u64,
        sink: ReadDir<'_>,
    ) -> Result<()> {
        let known = self.names.last().is_some_and(|(last, _)| (self.after..*last).contains(&cookie));
        // 0 asks for the directory as it is now.
        if cookie == 0 || !known {
            self.fill(dir, order, cookie)?;
        }
        let mut from = self.names.partition_point(|(next, _)| *next <= cookie);
        loop {
            for (next, name) in self.names.get(from..).unwrap_or_default() {
                let Ok(found) = stat(dir, name) else { continue };
                let Some(kind) = kind(&found) else { continue };
                let inode = file_id(&found).inode;
                if !sink(DirEntry { next: *next, inode, kind, name: name.clone() }) {
                    return Ok(());
                }
            }
            let last = self.names.last().map(|(last, _)| *last);
            match last.filter(|_| !self.complete) {
                Some(last) => self.fill(dir, order, last)?,
                None => break,
            }
            from = 0;
        }
        *self = Self { names_max: self.names_max, ..Self::new() };
        Ok(())
    }

    /// Reads the directory for the first names after the cookie.
    fn fill(&mut self, dir: &Dir, order: &RandomState, after: u64) -> Result<()> {
        let mut first = BinaryHeap::new();
        self.complete = true;
        let entries = match call(|| dir.entries()) {
            Ok(entries) => Some(entries),
            Err(Error::NOENT) => None, // a directory that was removed
            Err(error) => return Err(error),
        };
        for entry in entries.into_iter().flatten() {
            let entry = entry.map_err(|error| super::error::error(&error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let cookie = cookie(order, &name);
            if cookie <= after || component(&name).is_err() {
                continue;
            }
            first.push((cookie, name));
            if first.len() > self.names_max {
                first.pop();
                self.complete = false;
            }
        }
        self.after = after;
        self.names = first.into_sorted_vec();
        Ok(())
    }
}

/// Between 1 and 2^63 - 1.
fn cookie(order: &RandomState, name: &str) -> u64 {
    (order.hash_one(name) >> 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A directory of several parts, read by `page` entries at a time, with a change after each page.
    fn listed(page: usize, mut change: impl FnMut(&std::path::Path, &[String])) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..100 {
            std::fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let order = RandomState::new();
        let mut listing = Listing { names_max: 8, ..Listing::new() };
        let (mut cookie, mut seen) = (0, Vec::new());
        loop {
            let (mut names, from) = (Vec::new(), cookie);
            let mut sink = |entry: DirEntry| {
                assert!(entry.next != 0 && entry.next < 1 << 63);
                cookie = entry.next;
                names.push(entry.name);
                names.len() < page
            };
            listing.read(&dir, &order, from, &mut sink).unwrap();
            assert!(listing.names.len() <= 8);
            if names.is_empty() {
                return seen;
            }
            change(folder.path(), &names);
            seen.append(&mut names);
        }
    }

    #[test]
    fn every_entry_that_stays_is_seen_once() {
        let all: BTreeSet<String> = (0..100).map(|number| number.to_string()).collect();
        for page in [1, 3, 8, 20, 1000] {
            let nothing = listed(page, |_, _| {});
            assert_eq!(nothing.len(), 100, "{page}");
            assert_eq!(nothing.into_iter().collect::<BTreeSet<_>>(), all, "{page}");
            let mut created = 0;
            let changed = listed(page, |folder, names| {
                for name in names {
                    std::fs::remove_file(folder.join(name)).unwrap();
                }
                created += 1;
                if created < 50 {
                    std::fs::write(folder.join(format!("new-{created}")), "").unwrap();
                }
            });
            let old: Vec<_> = changed.into_iter().filter(|name| !name.starts_with("new")).collect();
            assert_eq!(old.len(), 100, "{page}");
            assert_eq!(old.into_iter().collect::<BTreeSet<_>>(), all, "{page}");
        }
    }
}
