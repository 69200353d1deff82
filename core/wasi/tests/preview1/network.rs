//! Services and connections as a test lays them out. The test is the other side of every connection.

use std::collections::{BTreeMap, VecDeque};

use qyv_wasi::{Direction, Error, Interest, Listener, Readiness, Result, Socket, Source};

/// A service that exists.
#[derive(Default)]
pub(crate) struct Service {
    /// Why it cannot be dialled.
    pub(crate) refuses: Option<Error>,
    /// Dials are under way until the test says otherwise.
    pub(crate) slow: bool,
}

/// One connection.
#[derive(Default)]
pub(crate) struct Connection {
    /// What the guest has not received yet.
    pub(crate) incoming: VecDeque<u8>,
    /// What the guest sent.
    pub(crate) sent: Vec<u8>,
    /// How much more it may send for now.
    pub(crate) room: usize,
    /// The other side sends no more.
    pub(crate) ended: bool,
    /// `AGAIN` while it is being made; any other error for good.
    pub(crate) failure: Option<Error>,
    pub(crate) receives: u32,
    /// What was shut down, in order.
    pub(crate) shut: Vec<Direction>,
    pub(crate) closed: bool,
}

impl Connection {
    fn shut(&self, way: Direction) -> bool {
        self.shut.iter().any(|shut| *shut == way || *shut == Direction::Both)
    }
}

#[derive(Default)]
pub(crate) struct Network {
    /// What may be dialled.
    pub(crate) granted: Vec<&'static str>,
    pub(crate) services: BTreeMap<&'static str, Service>,
    pub(crate) connections: Vec<Connection>,
    /// Connections that wait to be accepted, by listener.
    pub(crate) backlog: BTreeMap<Listener, u32>,
    pub(crate) closed_listeners: Vec<Listener>,
    /// What should have been granted besides.
    pub(crate) missing: Option<&'static str>,
    /// Every dial that came so far.
    pub(crate) dials: Vec<(String, Option<u16>, Direction)>,
}

impl Network {
    /// The connection with this number, which the guest must not have closed.
    pub(crate) fn open(&mut self, number: u32) -> &mut Connection {
        let connection = &mut self.connections[number as usize];
        assert!(!connection.closed, "used after it was closed");
        connection
    }

    /// How many connections the guest holds.
    pub(crate) fn held(&self) -> usize {
        self.connections.iter().filter(|connection| !connection.closed).count()
    }

    fn connect(&mut self, failure: Option<Error>) -> Socket {
        self.connections.push(Connection { room: 1 << 20, failure, ..Connection::default() });
        Socket(self.connections.len() as u32 - 1)
    }

    pub(crate) fn service(&self, name: &str) -> Result<&Service> {
        if !self.granted.contains(&name) {
            return Err(Error::ACCES);
        }
        self.services.get(name).ok_or(Error::NOENT)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.services.keys().filter(|name| self.granted.contains(name)).map(ToString::to_string).collect()
    }

    pub(crate) fn dial(&mut self, name: &str, port: Option<u16>, direction: Direction) -> Result<Socket> {
        self.dials.push((name.into(), port, direction));
        let Service { refuses, slow } = *self.service(name)?;
        refuses.map_or(Ok(()), Err)?;
        Ok(self.connect(slow.then_some(Error::AGAIN)))
    }

    pub(crate) fn accept(&mut self, listener: Listener) -> Result<Socket> {
        match self.backlog.get_mut(&listener) {
            Some(waiting @ 1..) => *waiting -= 1,
            _ => return Err(Error::AGAIN),
        }
        Ok(self.connect(None))
    }

    pub(crate) fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        assert!(!into.is_empty());
        let connection = self.open(socket.0);
        connection.receives += 1;
        let count = connection.incoming.len().min(into.len());
        if count == 0 {
            let over = connection.ended || connection.shut(Direction::Receive);
            return connection.failure.map_or(if over { Ok(0) } else { Err(Error::AGAIN) }, Err);
        }
        for (place, byte) in into.iter_mut().zip(&connection.incoming) {
            *place = *byte;
        }
        if !peek {
            connection.incoming.drain(..count);
        }
        Ok(count)
    }

    pub(crate) fn send(&mut self, socket: Socket, from: &[u8]) -> Result<usize> {
        assert!(!from.is_empty());
        let connection = self.open(socket.0);
        connection.failure.map_or(Ok(()), Err)?;
        if connection.shut(Direction::Send) {
            return Err(Error::PIPE);
        }
        let count = connection.room.min(from.len());
        connection.room -= count;
        connection.sent.extend_from_slice(&from[..count]);
        if count == 0 { Err(Error::AGAIN) } else { Ok(count) }
    }

    pub(crate) fn close(&mut self, source: Source) {
        match source {
            Source::Socket(socket) => self.open(socket.0).closed = true,
            Source::Listener(listener) => {
                assert!(!self.closed_listeners.contains(&listener));
                self.closed_listeners.push(listener);
            }
            Source::Stream(stream) => panic!("{stream:?} is the host's"),
        }
    }

    pub(crate) fn ready(&mut self, source: Source, interest: Interest) -> Option<Readiness> {
        let connection = match source {
            Source::Socket(socket) => self.open(socket.0),
            Source::Listener(listener) => {
                let waiting = *self.backlog.get(&listener)?;
                return (waiting != 0).then_some(Readiness { bytes: waiting.into(), hangup: false });
            }
            Source::Stream(_) => unreachable!(),
        };
        let hangup = connection.ended || connection.failure.is_some();
        match connection.failure {
            Some(Error::AGAIN) => return None,
            Some(_) => return Some(Readiness { bytes: 0, hangup }),
            None => {}
        }
        let bytes = match interest {
            Interest::Read => connection.incoming.len(),
            Interest::Write => connection.room,
        } as u64;
        (bytes != 0 || hangup).then_some(Readiness { bytes, hangup })
    }
}
