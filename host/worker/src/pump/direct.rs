//! Carrying on the thread of a guest: a message and its answer then change threads between the two guests only.

use std::io;
use std::sync::{Arc, TryLockError, Weak};
use std::task::{Wake, Waker};

use qyv_svc::Interest;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Carried, Way, lock};
use crate::executor::{Look, look_for};

/// How much is carried at once: it lies on a guest's stack.
const DIRECT_BYTES: usize = 4 << 10;

/// How often in a row. What is more is a stream, which is the task's to carry, so that a guest's turn is its own.
const DIRECT_ROUNDS: usize = 4;

/// Is woken when there is something to send: carries it, or wakes the task for it.
pub(super) struct Direct(Weak<Carried>);

impl Direct {
    /// Holds the connection no longer than its task does.
    pub(super) fn new(carried: &Arc<Carried>) -> Self {
        Self(Arc::downgrade(carried))
    }
}

impl Wake for Direct {
    fn wake(self: Arc<Self>) {
        let Some(carried) = self.0.upgrade() else { return };
        if carried.carry_out(&Waker::from(self)) {
            // The answer may come soon.
            let look: Arc<dyn Look> = carried;
            look_for(&look);
        } else {
            carried.wake_task();
        }
    }
}

impl Look for Carried {
    fn look(&self) -> bool {
        self.carry_in()
    }
}

impl Carried {
    /// Carries what was sent to the socket. `false` when the task has to go on.
    fn carry_out(&self, direct: &Waker) -> bool {
        let mut way = match self.out.try_lock() {
            Ok(way) if way.waits => way,
            Ok(_) | Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return false,
        };
        let mut buffer = [0; DIRECT_BYTES];
        for _ in 0..DIRECT_ROUNDS {
            match self.end.receive(&mut buffer, false) {
                Ok(count @ 1..) => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    // What fails fails again when the task writes.
                    let sent = send(&self.socket, &buffer[..count], flags).unwrap_or(0);
                    if sent < count {
                        way.left = buffer[sent..count].to_vec();
                        break;
                    }
                }
                Err(qyv_vfs::Error::AGAIN) => {
                    if self.end.ready(Interest::Read, Some(direct)).is_none() {
                        return true;
                    }
                }
                // The end and failures are there for the task too.
                Ok(_) | Err(_) => break,
            }
        }
        way.waits = false;
        false
    }

    /// Carries what there is to read to the connection. Returns whether there was something.
    fn carry_in(&self) -> bool {
        let mut way = match self.into.try_lock() {
            Ok(way) if way.waits => way,
            Ok(_) | Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return false,
        };
        let mut buffer = [0; DIRECT_BYTES];
        let room = self.end.ready(Interest::Write, None);
        if !room.is_some_and(|room| !room.hangup && room.bytes >= buffer.len() as u64) {
            return false;
        }
        match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((_, count @ 1..)) => {
                // What it does not take, or why, is the task's to find.
                let sent = self.end.send(&buffer[..count]).unwrap_or(0);
                if sent < count {
                    self.leave(&mut way, buffer[sent..count].to_vec());
                }
                true
            }
            // The end is there for the task too.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => false,
            Err(error) => {
                // The kernel tells it once.
                way.failed = Some(io::Error::from(error));
                self.leave(&mut way, Vec::new());
                false
            }
        }
    }

    fn leave(&self, way: &mut Way, left: Vec<u8>) {
        way.left = left;
        way.waits = false;
        self.wake_task();
    }

    fn wake_task(&self) {
        let task = lock(&self.task).clone();
        task.wake();
    }
}
