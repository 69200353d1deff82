//! What clients may make a server hold, and how long it waits for them.

use std::time::Duration;

/// Connections that one instance of an app has at once. Further ones wait in the kernel's queue.
pub(super) const CONNECTIONS_MAX: usize = 4096;

/// What a connection is charged to its app, in bytes: its buffers while a head is read, and its task.
pub(super) const CONNECTION_BYTES: u64 = 32 << 10;

/// Bytes of a request's head, and of the trailers of its body. More is 431.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;

/// Bytes that are kept on their way in and out of a connection, each.
pub(super) const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Requests that wait for each instance that may be at work. Further ones are 503.
pub(super) const WAITING_EACH: usize = 16;

/// Denials that are remembered of all requests together.
pub(super) const DENIALS_MAX: usize = 100;

/// How long a server waits for its clients, and they for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the start of a connection, or the end of an answer, to the end of the next request's head.
    pub(super) head: Duration,
    /// For the next piece of a request's body.
    pub(super) body: Duration,
    /// For a client to take what was written.
    pub(super) write: Duration,
    /// For an instance to become free. Then it is 503.
    pub(super) room: Duration,
    /// For the head of an answer, where the manifest has no `limits.wall`. Then it is 504.
    pub(super) answer: Duration,
    /// For one more request on a connection that is open when the instance drains: it is told to be the last. A
    /// connection that is closed under a client which is about to ask would lose its request.
    pub(super) linger: Duration,
}

/// What holds for all apps.
pub(super) const PATIENCE: Patience = Patience {
    head: Duration::from_secs(30),
    body: Duration::from_secs(30),
    write: Duration::from_secs(30),
    room: Duration::from_secs(10),
    answer: Duration::from_secs(60),
    linger: Duration::from_secs(1),
};
