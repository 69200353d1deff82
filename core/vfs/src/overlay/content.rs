//! The bytes of one file: pages in memory over what shows through from the lower file.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::Quota;
use crate::{Charge, Error, FileSystem, Handle, Result};

/// Bytes in a page: what the quota counts in, and the most that one partial write copies up at either end.
pub(super) const PAGE_BYTES: u64 = 4096;

/// What a page costs beside its bytes: its place in the map and the allocator's own header.
const PAGE_OVERHEAD: u64 = 32;

type Page = Box<[u8; PAGE_BYTES as usize]>;

/// The file below, opened for reading.
pub(super) type LowerFile<'a> = Option<(&'a mut (dyn FileSystem + 'static), Handle)>;

/// A byte is in its page when the page is present; otherwise it is the lower file's below `lower_end` and zero
/// above. Bytes of a page beyond `size` are zero.
///
/// Copy-up is by page and happens inside the write that needs it, so nothing is ever copied half, and a large lower
/// file costs only what was changed in it.
pub(super) struct Content {
    pages: BTreeMap<u64, Page>,
    size: u64,
    /// Where the lower file stops showing through; falls when the file is cut, never rises. At most `size`.
    lower_end: u64,
    /// The lower file's own size.
    lower_size: u64,
    touched: bool,
    bytes: Charge,
    memory: Charge,
}

impl Content {
    /// A file of which nothing is in memory yet: `lower_size` bytes of a lower file, or 0 for a new one.
    pub(super) fn new(quota: &Quota, lower_size: u64) -> Result<Self> {
        Ok(Self {
            pages: BTreeMap::new(),
            size: lower_size,
            lower_end: lower_size,
            lower_size,
            touched: false,
            bytes: quota.bytes(0)?,
            memory: quota.memory(0)?,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The size that a descriptor from before the first change goes on seeing.
    pub(super) fn lower_size(&self) -> u64 {
        self.lower_size
    }

    /// Whether the contents are still exactly the lower file's.
    pub(super) fn is_lower(&self) -> bool {
        !self.touched
    }

    /// Whether a read may need the lower file.
    pub(super) fn shows_lower(&self) -> bool {
        self.lower_end > 0
    }

    /// Reads at `offset`. Returns fewer bytes than asked only at the end of the file.
    pub(super) fn read(&self, lower: &mut LowerFile<'_>, offset: u64, into: &mut [u8]) -> Result<usize> {
        let wanted = (into.len() as u64).min(self.size.saturating_sub(offset));
        let mut done = 0;
        while done < wanted {
            let at = offset + done;
            let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let rest = slice(into, done, wanted - done)?;
            done += if let Some(stored) = self.pages.get(&page) {
                let count = (PAGE_BYTES - within).min(rest.len() as u64);
                let from = stored.get(within as usize..(within + count) as usize).ok_or(Error::IO)?;
                slice(rest, 0, count)?.copy_from_slice(from);
                count
            } else {
                // All up to the next stored page comes from one place: one read of the lower file.
                let gap_end =
                    self.pages.range(page..).next().map_or(u64::MAX, |(&next, _)| next * PAGE_BYTES);
                let gap = gap_end.saturating_sub(at).min(rest.len() as u64);
                let rest = slice(rest, 0, gap)?;
                let shown = self.lower_end.saturating_sub(at).min(gap);
                read_lower(lower, at, slice(rest, 0, shown)?)?;
                slice(rest, shown, gap - shown)?.fill(0);
                gap
            };
        }
        Ok(done as usize)
    }

    /// Writes at `offset`, as much as the quota allows; an error when not even one byte fits.
    pub(super) fn write(&mut self, lower: &mut LowerFile<'_>, offset: u64, from: &[u8]) -> Result<usize> {
        let mut done = 0_usize;
        while let Some(rest) = from.get(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let (page, within) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let count = (PAGE_BYTES - within).min(rest.len() as u64) as usize;
            match self.write_in_page(lower, page, within as usize, rest.get(..count).unwrap_or(rest)) {
                Ok(()) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            self.touched = true;
            self.size = self.size.max(at + count as u64);
        }
        Ok(done)
    }

    /// Makes the file `size` bytes long. Costs nothing: what is added is not stored.
    pub(super) fn set_size(&mut self, size: u64) {
        self.touched |= size != self.size;
        self.size = size;
        self.lower_end = self.lower_end.min(size);
        self.pages.split_off(&size.div_ceil(PAGE_BYTES));
        if let Some(last) = self.pages.get_mut(&(size / PAGE_BYTES)) {
            last.iter_mut().skip((size % PAGE_BYTES) as usize).for_each(|byte| *byte = 0);
        }
        let pages = self.pages.len() as u64;
        // Shrinking a charge cannot fail.
        let _ = self.charge(pages);
    }

    /// Stores every page of the range and makes the file at least as long, or changes nothing.
    pub(super) fn allocate(&mut self, lower: &mut LowerFile<'_>, offset: u64, end: u64) -> Result<()> {
        let (first, last) = (offset / PAGE_BYTES, end.div_ceil(PAGE_BYTES));
        let present = self.pages.range(first..last).count() as u64;
        let before = self.pages.len() as u64;
        self.charge(before + (last - first - present))?;
        let mut added = BTreeMap::new();
        for page in (first..last).filter(|page| !self.pages.contains_key(page)) {
            match self.load(lower, page) {
                Ok(stored) => added.insert(page, stored),
                Err(error) => {
                    let _ = self.charge(before);
                    return Err(error);
                }
            };
        }
        self.pages.append(&mut added);
        self.touched |= end > self.size;
        self.size = self.size.max(end);
        Ok(())
    }

    fn write_in_page(
        &mut self,
        lower: &mut LowerFile<'_>,
        page: u64,
        within: usize,
        from: &[u8],
    ) -> Result<()> {
        if !self.pages.contains_key(&page) {
            let before = self.pages.len() as u64;
            self.charge(before + 1)?;
            let whole = from.len() as u64 == PAGE_BYTES;
            let loaded = if whole { Ok(Box::new([0; PAGE_BYTES as usize])) } else { self.load(lower, page) };
            match loaded {
                Ok(stored) => self.pages.insert(page, stored),
                Err(error) => {
                    let _ = self.charge(before);
                    return Err(error);
                }
            };
        }
        let stored = self.pages.get_mut(&page).and_then(|stored| stored.get_mut(within..within + from.len()));
        stored.ok_or(Error::IO)?.copy_from_slice(from);
        Ok(())
    }

    /// A page that is not stored, as it reads now.
    fn load(&self, lower: &mut LowerFile<'_>, page: u64) -> Result<Page> {
        let mut stored = Box::new([0; PAGE_BYTES as usize]);
        let at = page * PAGE_BYTES;
        let shown = self.lower_end.saturating_sub(at).min(PAGE_BYTES);
        read_lower(lower, at, slice(&mut stored[..], 0, shown)?)?;
        Ok(stored)
    }

    /// Charges this many pages in all, to both budgets or to neither.
    fn charge(&mut self, pages: u64) -> Result<()> {
        let bytes = pages.checked_mul(PAGE_BYTES).ok_or(Error::NOSPC)?;
        let memory = pages.checked_mul(PAGE_BYTES + PAGE_OVERHEAD).ok_or(Error::NOSPC)?;
        let before = self.bytes.amount();
        if !self.bytes.try_resize(bytes) {
            return Err(Error::NOSPC);
        }
        if !self.memory.try_resize(memory) {
            let _ = self.bytes.try_resize(before);
            return Err(Error::NOMEM);
        }
        Ok(())
    }
}

/// Fills `into` from the lower file. A lower file that became shorter, which it must not, reads as zeros.
fn read_lower(lower: &mut LowerFile<'_>, mut at: u64, mut into: &mut [u8]) -> Result<()> {
    while !into.is_empty() {
        let (fs, handle) = lower.as_mut().ok_or(Error::IO)?;
        let count = fs.read_at(*handle, at, &mut [&mut *into])?;
        if count == 0 {
            into.fill(0);
            break;
        }
        at += count as u64;
        into = into.get_mut(count..).ok_or(Error::IO)?;
    }
    Ok(())
}

fn slice(of: &mut [u8], start: u64, count: u64) -> Result<&mut [u8]> {
    of.get_mut(start as usize..(start + count) as usize).ok_or(Error::IO)
}
