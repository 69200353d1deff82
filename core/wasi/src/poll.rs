//! `poll_oneoff`: waiting for clocks and descriptors.

use alloc::vec::Vec;

use qyv_vfs::{Error, Result};

use crate::abi::{self, ABSTIME, EVENT_SIZE, HANGUP, Layout, SUBSCRIPTION_SIZE, event, rights};
use crate::calls::Call;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::memory::{self, Span};
use crate::outcome::{Step, Stop};
use crate::resume::Resume;
use crate::table::Kind;
use crate::{Clock, Host, Interest, Memory, Process, Source};

/// When a `poll_oneoff` that waits was first called, so that a time span does not begin anew when it is re-entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Its arguments, by which it is known again.
    arguments: [u32; 4],
    /// The monotonic time then.
    monotonic: u64,
}

/// Reports at once whatever is ready, in the order of the subscriptions; waits only when nothing is.
///
/// A subscription that cannot be served (a closed descriptor, an unknown clock) is an event with that error: the others
/// may still be of use. Spans are measured on the monotonic clock, so that setting the time does not stretch a sleep.
pub(crate) fn poll_oneoff<M: Memory + ?Sized, H: Host + ?Sized>(
    call: &mut Call<'_, M, H>,
    subscriptions: u32,
    events: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Step<()> {
    let arguments = [subscriptions, events, nsubscriptions, nevents];
    let start = match call.process.resume.take() {
        Some(Resume::Poll(start)) if start.arguments == arguments => Some(start),
        _ => None,
    };
    if nsubscriptions == 0 || nsubscriptions > SUBSCRIPTIONS_MAX {
        return Err(Error::INVAL.into());
    }
    memory::check_array(call.memory, subscriptions, nsubscriptions, SUBSCRIPTION_SIZE)?;
    memory::check_array(call.memory, events, nsubscriptions, EVENT_SIZE)?;
    memory::check(call.memory, Span::new(nevents, 4))?;

    let mut poll = Poll { monotonic: None, realtime: None, start, soonest: None, sources: Vec::new() };
    let mut count = 0;
    for index in 0..nsubscriptions {
        let at = memory::element(subscriptions, index, SUBSCRIPTION_SIZE)?;
        let subscription = Subscription::read(call.memory, at)?;
        let state = match subscription.kind {
            What::Clock { .. } | What::UnknownClock => poll.clock(call.host, subscription.kind),
            What::Descriptor { fd, interest } => poll.descriptor(call.process, call.host, fd, interest),
        };
        let (error, bytes, flags) = match state {
            Ok(None) => continue,
            Ok(Some((bytes, flags))) => (0, bytes, flags),
            Err(error) => (error as u16, 0, 0),
        };
        let event: [u8; EVENT_SIZE as usize] = Layout::new()
            .put(0, subscription.userdata)
            .put(8, error.to_le_bytes())
            .put(10, [subscription.tag])
            .put(16, bytes.to_le_bytes())
            .put(24, flags.to_le_bytes())
            .bytes();
        call.memory.write(memory::element(events, count, EVENT_SIZE)?, &event)?;
        count += 1;
    }
    if count == 0 {
        let monotonic = poll.start(call.host)?;
        call.process.resume = Some(Resume::Poll(Start { arguments, monotonic }));
        poll.sources.sort_unstable();
        poll.sources.dedup();
        let deadline = poll.soonest.map(|(_, deadline)| deadline);
        return Err(Stop::Wait(call.process.wait_for(deadline, poll.sources)));
    }
    Ok(memory::put_u32(call.memory, nevents, count)?)
}

/// What a guest wants to know of.
struct Subscription {
    userdata: [u8; 8],
    tag: u8,
    kind: What,
}

#[derive(Clone, Copy)]
enum What {
    Clock { clock: Clock, timeout: u64, absolute: bool },
    UnknownClock,
    Descriptor { fd: u32, interest: Interest },
}

impl Subscription {
    /// `INVAL` for an unknown kind or flag.
    fn read<M: Memory + ?Sized>(memory: &M, at: u32) -> Result<Self> {
        let field = |offset| memory::element(at, offset, 1);
        let userdata = memory::get(memory, at)?;
        let [tag] = memory::get(memory, field(8)?)?;
        let number = u32::from_le_bytes(memory::get(memory, field(16)?)?);
        let kind = match tag {
            event::CLOCK => {
                let timeout = u64::from_le_bytes(memory::get(memory, field(24)?)?);
                let flags = u16::from_le_bytes(memory::get(memory, field(40)?)?);
                let absolute = abi::flags(flags.into(), ABSTIME)? != 0;
                abi::clock(number).map_or(What::UnknownClock, |clock| What::Clock {
                    clock,
                    timeout,
                    absolute,
                })
            }
            event::FD_READ => What::Descriptor { fd: number, interest: Interest::Read },
            event::FD_WRITE => What::Descriptor { fd: number, interest: Interest::Write },
            _ => return Err(Error::INVAL),
        };
        Ok(Self { userdata, tag, kind })
    }
}

/// Bytes and `eventrwflags` of something that is ready.
type Ready = Option<(u64, u16)>;

/// The bytes from a place in a file to its end, which is a hang-up.
fn left(size: u64, offset: u64) -> (u64, u16) {
    let left = size.saturating_sub(offset);
    (left, if left == 0 { HANGUP } else { 0 })
}

/// What was found so far.
struct Poll {
    /// The times of this call, read once.
    monotonic: Option<u64>,
    realtime: Option<u64>,
    start: Option<Start>,
    /// The deadline with the least time left: that time, the clock and its time then.
    soonest: Option<(u64, (Clock, u64))>,
    sources: Vec<(Source, Interest)>,
}

impl Poll {
    fn now<H: Host + ?Sized>(&mut self, host: &mut H, clock: Clock) -> Result<u64> {
        let place = match clock {
            Clock::Monotonic => &mut self.monotonic,
            Clock::Realtime => &mut self.realtime,
            // A clock that stands still while the guest waits would never let it go on.
            Clock::ProcessCpu | Clock::ThreadCpu => return Err(Error::INVAL),
        };
        if let Some(now) = *place {
            return Ok(now);
        }
        let now = host.clock_now(clock)?;
        *place = Some(now);
        Ok(now)
    }

    /// The monotonic time of the first call.
    fn start<H: Host + ?Sized>(&mut self, host: &mut H) -> Result<u64> {
        match self.start {
            Some(start) => Ok(start.monotonic),
            None => self.now(host, Clock::Monotonic),
        }
    }

    fn clock<H: Host + ?Sized>(&mut self, host: &mut H, what: What) -> Result<Ready> {
        let What::Clock { clock, timeout, absolute } = what else { return Err(Error::INVAL) };
        self.now(host, clock)?;
        let (clock, at) = if absolute {
            (clock, timeout)
        } else {
            (Clock::Monotonic, self.start(host)?.saturating_add(timeout))
        };
        let left = at.saturating_sub(self.now(host, clock)?);
        if left == 0 {
            return Ok(Some((0, 0)));
        }
        if self.soonest.is_none_or(|(least, _)| left < least) {
            self.soonest = Some((left, (clock, at)));
        }
        Ok(None)
    }

    fn descriptor<H: Host + ?Sized>(
        &mut self,
        process: &mut Process,
        host: &mut H,
        fd: u32,
        interest: Interest,
    ) -> Result<Ready> {
        let descriptor = process.table.get(fd)?;
        let access = match (&descriptor.kind, interest) {
            (Kind::Source(Source::Listener(_)), Interest::Read) => rights::SOCK_ACCEPT,
            (_, Interest::Read) => rights::FD_READ,
            (_, Interest::Write) => rights::FD_WRITE,
        };
        descriptor.require(access | rights::POLL_FD_READWRITE)?;
        match (&descriptor.kind, interest) {
            (Kind::Source(source), _) => {
                if let Some(ready) = host.ready(*source, interest) {
                    return Ok(Some((ready.bytes, if ready.hangup { HANGUP } else { 0 })));
                }
                self.sources.push((*source, interest));
                Ok(None)
            }
            (Kind::File { node, offset, .. }, Interest::Read) => {
                Ok(Some(left(process.vfs.attributes(*node)?.size, *offset)))
            }
            (Kind::Info { info, offset }, Interest::Read) => Ok(Some(left(info.size(), *offset))),
            (Kind::File { .. }, Interest::Write) => Ok(Some((1, 0))),
            (
                Kind::Info { .. } | Kind::Directory { .. } | Kind::ClosedRoot { .. } | Kind::Services { .. },
                _,
            ) => Err(Error::BADF),
        }
    }
}
