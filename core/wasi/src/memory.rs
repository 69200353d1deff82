//! The guest's memory: the only file that reads and writes it.
//!
//! Addresses and lengths come from the guest and are only *claims* until [`check`] or one of the readers and writers
//! has compared them with the memory's size. All arithmetic on them is checked or done in 64 bits; what does not fit
//! is `FAULT`.

use alloc::vec;

use qyv_vfs::{Budget, Error, Result};

use crate::abi::IOVEC_SIZE;
use crate::limits::{IOVECS_AT_ONCE, IOVECS_MAX, PATH_BYTES_MAX, SCRATCH_BYTES};

/// A guest's linear memory, as an engine lends it for one call.
///
/// `read` and `write` answer `FAULT` unless the whole range lies within [`size`](Self::size).
pub trait Memory {
    /// Bytes; at most 2^32.
    fn size(&self) -> u64;

    /// Copies from the guest.
    fn read(&self, at: u32, into: &mut [u8]) -> Result<()>;

    /// Copies to the guest.
    fn write(&mut self, at: u32, from: &[u8]) -> Result<()>;

    /// The whole memory in place, when the engine can lend it. With `None` the core copies through a buffer of at most
    /// [`SCRATCH_BYTES`].
    fn bytes(&mut self) -> Option<&mut [u8]>;
}

/// Bytes of the guest by address and length, not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) const fn new(at: u32, len: u32) -> Self {
        Self { at, len }
    }

    fn of(self, bytes: &[u8]) -> Result<&[u8]> {
        let end = u64::from(self.at) + u64::from(self.len);
        let end = usize::try_from(end).map_err(|_| Error::FAULT)?;
        bytes.get(self.at as usize..end).ok_or(Error::FAULT)
    }

    fn of_mut(self, bytes: &mut [u8]) -> Result<&mut [u8]> {
        let end = u64::from(self.at) + u64::from(self.len);
        let end = usize::try_from(end).map_err(|_| Error::FAULT)?;
        bytes.get_mut(self.at as usize..end).ok_or(Error::FAULT)
    }
}

/// Compares a range with the memory's size.
pub(crate) fn check<M: Memory + ?Sized>(memory: &M, span: Span) -> Result<()> {
    let end = u64::from(span.at) + u64::from(span.len);
    if end <= memory.size() { Ok(()) } else { Err(Error::FAULT) }
}

/// The address of element `index` of an array.
pub(crate) fn element(at: u32, index: u32, size: u32) -> Result<u32> {
    index.checked_mul(size).and_then(|offset| at.checked_add(offset)).ok_or(Error::FAULT)
}

/// Compares an array of `count` elements with the memory's size.
pub(crate) fn check_array<M: Memory + ?Sized>(memory: &M, at: u32, count: u32, size: u32) -> Result<()> {
    check(memory, Span::new(at, count.checked_mul(size).ok_or(Error::FAULT)?))
}

/// Copies a structure of `N` bytes from the guest.
pub(crate) fn get<const N: usize, M: Memory + ?Sized>(memory: &M, at: u32) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    memory.read(at, &mut bytes)?;
    Ok(bytes)
}

/// Writes a `u32` to the guest.
pub(crate) fn put_u32<M: Memory + ?Sized>(memory: &mut M, at: u32, value: u32) -> Result<()> {
    memory.write(at, &value.to_le_bytes())
}

/// Writes a `u64` to the guest.
pub(crate) fn put_u64<M: Memory + ?Sized>(memory: &mut M, at: u32, value: u64) -> Result<()> {
    memory.write(at, &value.to_le_bytes())
}

/// Lends paths of the guest to `use_them`: in place when the engine lends its memory, else through copies on the stack.
/// `NAMETOOLONG` above [`PATH_BYTES_MAX`], `ILSEQ` unless it is UTF-8.
pub(crate) fn with_paths<const N: usize, M: Memory + ?Sized, R>(
    memory: &mut M,
    paths: [Span; N],
    use_them: impl FnOnce([&str; N]) -> Result<R>,
) -> Result<R> {
    for path in paths {
        check(memory, path)?;
        if path.len > PATH_BYTES_MAX {
            return Err(Error::NAMETOOLONG);
        }
    }
    if let Some(bytes) = memory.bytes() {
        let mut texts = [""; N];
        for (place, path) in texts.iter_mut().zip(paths) {
            *place = text(path.of(bytes)?)?;
        }
        return use_them(texts);
    }
    let mut copies = [[0; PATH_BYTES_MAX as usize]; N];
    let mut texts = [""; N];
    for ((place, copy), path) in texts.iter_mut().zip(&mut copies).zip(paths) {
        let copy = copy.get_mut(..path.len as usize).ok_or(Error::NAMETOOLONG)?;
        memory.read(path.at, copy)?;
        *place = text(copy)?;
    }
    use_them(texts)
}

fn text(bytes: &[u8]) -> Result<&str> {
    core::str::from_utf8(bytes).map_err(|_| Error::ILSEQ)
}

/// A guest's vector of buffers: its array and every buffer in it lay within memory when it was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vector {
    at: u32,
    count: u32,
    total: u32,
    /// Bytes of the first buffer that are left out.
    skip: u32,
}

impl Vector {
    /// Checks all of a vector. `INVAL` above [`IOVECS_MAX`] entries or 2^32 - 1 bytes in sum, `FAULT` when anything
    /// lies outside memory.
    pub(crate) fn check<M: Memory + ?Sized>(memory: &M, at: u32, count: u32) -> Result<Self> {
        if count > IOVECS_MAX {
            return Err(Error::INVAL);
        }
        check_array(memory, at, count, IOVEC_SIZE)?;
        let mut vector = Self { at, count, total: 0, skip: 0 };
        for index in 0..count {
            let span = vector.entry(memory, index)?;
            check(memory, span)?;
            vector.total = vector.total.checked_add(span.len).ok_or(Error::INVAL)?;
        }
        Ok(vector)
    }

    /// Bytes of all buffers.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// What is left of the buffers after so many bytes.
    pub(crate) fn after<M: Memory + ?Sized>(mut self, memory: &M, bytes: u32) -> Result<Self> {
        let mut left = bytes;
        while self.count != 0 {
            let span = self.entry(memory, 0)?;
            if left < span.len {
                break;
            }
            left -= span.len;
            self = Self { at: element(self.at, 1, IOVEC_SIZE)?, count: self.count - 1, ..self };
        }
        Ok(Self { total: self.total.saturating_sub(bytes), skip: left, ..self })
    }

    /// The buffer at `index`, not checked.
    fn entry<M: Memory + ?Sized>(&self, memory: &M, index: u32) -> Result<Span> {
        let [a, b, c, d, e, f, g, h] = get(memory, element(self.at, index, IOVEC_SIZE)?)?;
        let (at, len) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        // By now the guest's memory may say something else than when `skip` was counted.
        let skip = if index == 0 { self.skip.min(len) } else { 0 };
        Ok(Span::new(at.checked_add(skip).ok_or(Error::FAULT)?, len - skip))
    }
}

/// Some of a vector's buffers that go to the file system together.
struct Run {
    spans: [Span; IOVECS_AT_ONCE],
    len: usize,
    bytes: usize,
    /// The entry after them.
    next: u32,
}

impl Run {
    /// Takes buffers from entry `index` on, leaving out empty ones, for as long as `fits` (the end of the buffer before,
    /// then the next one) says so.
    fn take<M: Memory + ?Sized>(
        memory: &M,
        vector: Vector,
        index: u32,
        fits: &impl Fn(u64, Span) -> bool,
    ) -> Result<Self> {
        let mut run = Self { spans: [Span::new(0, 0); IOVECS_AT_ONCE], len: 0, bytes: 0, next: index };
        let mut end = 0;
        while run.next < vector.count {
            let span = vector.entry(memory, run.next)?;
            if span.len != 0 {
                let Some(place) = run.spans.get_mut(run.len).filter(|_| fits(end, span)) else { break };
                *place = span;
                run.len += 1;
                run.bytes += span.len as usize;
                end = u64::from(span.at) + u64::from(span.len);
            }
            run.next += 1;
        }
        Ok(run)
    }

    fn spans(&self) -> &[Span] {
        self.spans.get(..self.len).unwrap_or_default()
    }
}

/// Fills a vector's buffers in order with what `fill` gives, and returns the bytes given. Stops at the first call that
/// gives less than it could. An error counts only when nothing was given before it.
///
/// Buffers that lie in ascending order, as nearly all do, go to `fill` together and in place.
pub(crate) fn scatter<M: Memory + ?Sized>(
    memory: &mut M,
    budget: &Budget,
    vector: Vector,
    mut fill: impl FnMut(&mut [&mut [u8]]) -> Result<usize>,
) -> Result<u32> {
    if let Some((span, bytes)) = only(memory, vector)? {
        let buffer = span.of_mut(bytes)?;
        return if buffer.is_empty() { Ok(0) } else { fill(&mut [buffer]).map(count) };
    }
    let mut done = Done::default();
    let result = if memory.bytes().is_some() {
        done.in_place(
            memory,
            vector,
            |end, next| u64::from(next.at) >= end,
            |bytes, run| {
                let mut slices = split(bytes, run.spans())?;
                fill(slices.get_mut(..run.len).unwrap_or_default())
            },
        )
    } else {
        done.copied(memory, budget, vector, |memory, at, scratch| {
            let got = fill(&mut [&mut *scratch])?;
            memory.write(at, scratch.get(..got).ok_or(Error::IO)?)?;
            Ok(got)
        })
    };
    done.or(result)
}

/// Hands a vector's buffers in order to `drain`, and returns the bytes taken. Stops at the first call that takes less
/// than it could. An error counts only when nothing was taken before it.
pub(crate) fn gather<M: Memory + ?Sized>(
    memory: &mut M,
    budget: &Budget,
    vector: Vector,
    mut drain: impl FnMut(&[&[u8]]) -> Result<usize>,
) -> Result<u32> {
    if let Some((span, bytes)) = only(memory, vector)? {
        let buffer = span.of(bytes)?;
        return if buffer.is_empty() { Ok(0) } else { drain(&[buffer]).map(count) };
    }
    let mut done = Done::default();
    let result = if memory.bytes().is_some() {
        done.in_place(
            memory,
            vector,
            |_, _| true,
            |bytes, run| {
                let mut slices: [&[u8]; IOVECS_AT_ONCE] = Default::default();
                for (slice, span) in slices.iter_mut().zip(run.spans()) {
                    *slice = span.of(bytes)?;
                }
                drain(slices.get(..run.len).unwrap_or_default())
            },
        )
    } else {
        done.copied(memory, budget, vector, |memory, at, scratch| {
            memory.read(at, scratch)?;
            drain(&[scratch])
        })
    };
    done.or(result)
}

/// The only buffer of a vector, as nearly all have one, with the memory to take it from in place.
fn only<M: Memory + ?Sized>(memory: &mut M, vector: Vector) -> Result<Option<(Span, &mut [u8])>> {
    if vector.count != 1 {
        return Ok(None);
    }
    let span = vector.entry(memory, 0)?;
    Ok(memory.bytes().map(|bytes| (span, bytes)))
}

/// Bytes as a guest counts them.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Cuts ascending spans out of the memory.
fn split<'a>(bytes: &'a mut [u8], spans: &[Span]) -> Result<[&'a mut [u8]; IOVECS_AT_ONCE]> {
    let mut slices: [&mut [u8]; IOVECS_AT_ONCE] = Default::default();
    let mut rest = bytes;
    let mut cut = 0u64;
    for (slice, span) in slices.iter_mut().zip(spans) {
        let skip = u64::from(span.at).checked_sub(cut).and_then(|skip| usize::try_from(skip).ok());
        let (_, tail) = rest.split_at_mut_checked(skip.ok_or(Error::FAULT)?).ok_or(Error::FAULT)?;
        let (mine, tail) = tail.split_at_mut_checked(span.len as usize).ok_or(Error::FAULT)?;
        *slice = mine;
        rest = tail;
        cut = u64::from(span.at) + u64::from(span.len);
    }
    Ok(slices)
}

/// The bytes of a vector that are done.
///
/// A read may overwrite the vector that describes it. So its entries are read, and compared with the memory's size,
/// again and again; the first check of all of them only makes sure that an honest program fails before any effect.
#[derive(Default)]
struct Done(u32);

impl Done {
    /// The count, unless nothing was done and `result` is an error.
    fn or(self, result: Result<()>) -> Result<u32> {
        match result {
            Err(error) if self.0 == 0 => Err(error),
            _ => Ok(self.0),
        }
    }

    /// Counts `got` bytes of `wanted`, and says whether to go on.
    fn add(&mut self, got: usize, wanted: usize) -> bool {
        self.0 = self.0.saturating_add(count(got));
        got >= wanted && self.0 != u32::MAX
    }

    fn in_place<M: Memory + ?Sized>(
        &mut self,
        memory: &mut M,
        vector: Vector,
        fits: impl Fn(u64, Span) -> bool,
        mut transfer: impl FnMut(&mut [u8], &Run) -> Result<usize>,
    ) -> Result<()> {
        let mut index = 0;
        while index < vector.count {
            let run = Run::take(memory, vector, index, &fits)?;
            index = run.next;
            if run.len == 0 {
                break;
            }
            let got = transfer(memory.bytes().ok_or(Error::FAULT)?, &run)?;
            if !self.add(got, run.bytes) {
                break;
            }
        }
        Ok(())
    }

    fn copied<M: Memory + ?Sized>(
        &mut self,
        memory: &mut M,
        budget: &Budget,
        vector: Vector,
        mut transfer: impl FnMut(&mut M, u32, &mut [u8]) -> Result<usize>,
    ) -> Result<()> {
        let size = vector.total.min(SCRATCH_BYTES);
        let _charge = budget.charge(size.into()).ok_or(Error::NOMEM)?;
        let mut scratch = vec![0; size as usize];
        for index in 0..vector.count {
            let Span { mut at, len: mut left } = vector.entry(memory, index)?;
            while left != 0 {
                let wanted = left.min(size);
                let piece = scratch.get_mut(..wanted as usize).unwrap_or_default();
                let got = transfer(memory, at, piece)?;
                if !self.add(got, wanted as usize) {
                    return Ok(());
                }
                at = at.checked_add(wanted).unwrap_or_default();
                left -= wanted;
            }
        }
        Ok(())
    }
}
