//! The other sides of a guest's connections: echoes, and the client of what it serves.

use std::collections::VecDeque;

use qyv_wasi::{Direction, Error, Interest, Readiness, Result, Socket};

use crate::case::Case;
use crate::check::Check;
use crate::mutants::Wrong;

/// The services that are granted, with their protocols.
const GRANTED: [(&str, &str); 2] = [("polyglot-echo", "lines"), ("polyglot-frames", "frames")];
/// The one that exists too.
const SECRET: &str = "polyglot-secret";
/// Which byte of a connection a wrong echo changes: a digit of the nonce, in a line and in a frame.
const CHANGED: u64 = 5;

/// All connections of a guest.
pub(super) struct Connections {
    wrong: Option<Wrong>,
    /// Whether the guest may dial.
    dials: bool,
    connections: Vec<Connection>,
    /// The one that waits to be accepted.
    client: Option<Connection>,
}

/// What the guest receives next, and where what it sends goes.
struct Connection {
    incoming: VecDeque<u8>,
    /// What it sends comes back; otherwise it is an answer.
    echoes: bool,
    /// Bytes that came from the guest.
    sent: u64,
    /// Nothing more is received.
    ended: bool,
}

impl Connections {
    pub(super) fn new(case: &Case, wrong: Option<Wrong>) -> Self {
        let count = if wrong == Some(Wrong::CutConnection) { 1 } else { case.lines.len() };
        let lines: String = case.lines.iter().take(count).map(|line| format!("{line}\n")).collect();
        let client = Connection { incoming: lines.into_bytes().into(), echoes: false, sent: 0, ended: true };
        Self {
            wrong,
            dials: matches!(case.check, Check::Dial | Check::Refused),
            connections: Vec::new(),
            client: (case.check == Check::Serve).then_some(client),
        }
    }

    fn get(&mut self, socket: Socket) -> Result<&mut Connection> {
        self.connections.get_mut(socket.0 as usize).ok_or(Error::BADF)
    }

    fn add(&mut self, connection: Connection) -> Socket {
        self.connections.push(connection);
        // A guest has 256 descriptors at once and a check opens a handful.
        Socket(u32::try_from(self.connections.len() - 1).unwrap_or(u32::MAX))
    }

    pub(super) fn service(&self, name: &str, port: Option<u16>) -> Result<()> {
        let granted = GRANTED.iter().any(|(granted, _)| *granted == name) && self.dials;
        match self.wrong {
            _ if granted && port.is_none() => Ok(()),
            _ if granted => Err(Error::NOENT),
            Some(Wrong::DialAnything) if name == SECRET => Ok(()),
            Some(Wrong::MissingForRefused) => Err(Error::NOENT),
            _ => Err(Error::ACCES),
        }
    }

    pub(super) fn services(&self) -> Vec<String> {
        if self.dials { GRANTED.map(|(name, _)| name.to_owned()).into() } else { Vec::new() }
    }

    pub(super) fn info(&self, name: &str) -> Result<String> {
        self.service(name, None)?;
        let protocol =
            GRANTED.iter().find(|(granted, _)| *granted == name).map_or("lines", |(_, protocol)| protocol);
        Ok(format!(
            "{{\"name\":\"{name}\",\"description\":\"\",\"up\":true,\"protocol\":\"{protocol}\",\
             \"ports\":[{{\"port\":null,\"protocol\":\"{protocol}\",\"up\":true}}]}}\n"
        ))
    }

    pub(super) fn dial(&mut self, name: &str, port: Option<u16>) -> Result<Socket> {
        self.service(name, port)?;
        Ok(self.add(Connection { incoming: VecDeque::new(), echoes: true, sent: 0, ended: false }))
    }

    pub(super) fn acceptable(&self) -> Option<Readiness> {
        self.client.as_ref().map(|_| Readiness { bytes: 1, hangup: false })
    }

    pub(super) fn accept(&mut self) -> Result<Socket> {
        let client = self.client.take().ok_or(Error::AGAIN)?;
        Ok(self.add(client))
    }

    pub(super) fn ready(&mut self, socket: Socket, interest: Interest) -> Option<Readiness> {
        let Ok(connection) = self.get(socket) else { return Some(Readiness { bytes: 0, hangup: true }) };
        let bytes = connection.incoming.len() as u64;
        match interest {
            Interest::Write => Some(Readiness { bytes: 1, hangup: false }),
            Interest::Read => {
                (bytes > 0 || connection.ended).then_some(Readiness { bytes, hangup: connection.ended })
            }
        }
    }

    pub(super) fn receive(&mut self, socket: Socket, into: &mut [u8], peek: bool) -> Result<usize> {
        let connection = self.get(socket)?;
        let length = connection.incoming.len().min(into.len());
        if length == 0 {
            return if connection.ended { Ok(0) } else { Err(Error::AGAIN) };
        }
        for (to, from) in into.iter_mut().zip(&connection.incoming) {
            *to = *from;
        }
        if !peek {
            connection.incoming.drain(..length);
        }
        Ok(length)
    }

    pub(super) fn send(&mut self, socket: Socket, from: &[u8], answers: &mut Vec<u8>) -> Result<usize> {
        let changes = self.wrong == Some(Wrong::ChangedEcho);
        let connection = self.get(socket)?;
        if !connection.echoes {
            answers.extend(from);
            return Ok(from.len());
        }
        for byte in from {
            let is_changed = changes && connection.sent == CHANGED;
            connection.incoming.push_back(if is_changed { byte ^ 1 } else { *byte });
            connection.sent += 1;
        }
        Ok(from.len())
    }

    pub(super) fn shutdown(&mut self, socket: Socket, direction: Direction) -> Result<()> {
        let connection = self.get(socket)?;
        // An echo ends when there is nothing more to echo.
        connection.ended = true;
        if direction != Direction::Send {
            connection.incoming.clear();
        }
        Ok(())
    }
}
