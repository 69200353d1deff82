//! TCP sockets, whose other ends are services, or hosts outside.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use qyv_vfs::Error;
use qyv_wasi::Direction;
use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::sockets::tcp::{self, ShutdownType};
use super::bindings::sockets::tcp_create_socket;
use super::connection::{Connection, Incoming, Outgoing};
use super::names::{OWN_PORT, caller, own_end};
use super::network::{Network, NetworkView, SERVICE_SUFFIX, SocketResult, family};
use super::options::{Options, not_zero, socket_options};
use super::services::Port;

/// A socket.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct TcpSocket {
    options: Options,
    state: State,
}

/// What became of a socket. Nothing takes time but to connect; `finished` is whether the guest has heard of it.
enum State {
    Unbound,
    Bound {
        finished: bool,
        port: Port,
        local: SocketAddr,
    },
    Listening {
        finished: bool,
        port: Port,
        local: SocketAddr,
        accepted: Option<Arc<Connection>>,
    },
    Connecting {
        connection: Arc<Connection>,
        /// `None` for a host outside.
        service: Option<String>,
        remote: SocketAddr,
    },
    Connected {
        connection: Arc<Connection>,
        local: SocketAddr,
        remote: SocketAddr,
    },
    /// Connecting failed.
    Closed,
}

#[async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        match &self.state {
            State::Connecting { connection, .. } => {
                poll_fn(|context| connection.poll_connected(context)).await;
            }
            State::Listening { port, accepted: None, .. } => {
                poll_fn(|context| port.poll_waiting(context)).await;
            }
            _ => {}
        }
    }
}

type Socket = Resource<TcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl NetworkView<'_> {
    /// A socket that neither does nor has done anything, of the family of this address.
    fn unbound(&self, socket: &Socket, address: SocketAddr) -> SocketResult<()> {
        let TcpSocket { state, options } = self.table.get(socket)?;
        let code = match state {
            State::Unbound if options.family == family(address) => return Ok(()),
            State::Unbound => ErrorCode::InvalidArgument,
            State::Bound { finished: false, .. }
            | State::Listening { finished: false, .. }
            | State::Connecting { .. } => ErrorCode::ConcurrencyConflict,
            _ => ErrorCode::InvalidState,
        };
        Err(code.into())
    }

    /// Makes the streams of a connection, children of its socket.
    fn streams(&mut self, socket: &Socket, connection: &Arc<Connection>) -> SocketResult<Streams> {
        let input: DynInputStream = Box::new(Incoming(connection.clone()));
        let output: DynOutputStream = Box::new(Outgoing(connection.clone()));
        let input = self.table.push_child(input, socket)?;
        match self.table.push_child(output, socket) {
            Ok(output) => Ok((input, output)),
            Err(error) => {
                self.table.delete(input)?;
                Err(error.into())
            }
        }
    }

    /// What came of dialling a service, or without one an address outside, with a refusal remembered.
    fn dialled<T>(
        &mut self,
        call: &'static str,
        service: Option<&str>,
        remote: SocketAddr,
        result: qyv_vfs::Result<T>,
    ) -> SocketResult<T> {
        match (service, &result) {
            (Some(service), Err(Error::ACCES)) => {
                self.dial_denied(call, format!("{service}{SERVICE_SUFFIX}:{}", remote.port()), service);
            }
            (None, Err(Error::ACCES)) => return self.refuse_connect(call, "tcp", remote),
            _ => {}
        }
        Ok(result?)
    }

    /// Takes a connection that waits at a listening socket, or one that was taken before and found no room in the table.
    fn take_waiting(&mut self, socket: &Socket) -> SocketResult<(Options, SocketAddr, Arc<Connection>)> {
        let TcpSocket { state, options } = self.table.get_mut(socket)?;
        let (State::Listening { finished: true, port, local, accepted }, Some(services)) =
            (state, &self.services)
        else {
            return Err(ErrorCode::InvalidState.into());
        };
        let connection = match accepted.take() {
            Some(connection) => connection,
            None => services.accept(port)?,
        };
        Ok((options.clone(), *local, connection))
    }

    /// Puts an accepted connection into the table, with its streams.
    fn push_accepted(
        &mut self,
        options: Options,
        local: SocketAddr,
        connection: &Arc<Connection>,
    ) -> SocketResult<(Socket, Streams)> {
        let remote = (caller(local.ip()), OWN_PORT).into();
        let state = State::Connected { connection: connection.clone(), local, remote };
        let socket = self.table.push(TcpSocket { options, state })?;
        match self.streams(&socket, connection) {
            Ok(streams) => Ok((socket, streams)),
            Err(error) => {
                self.table.delete(socket)?;
                Err(error)
            }
        }
    }
}

impl tcp_create_socket::Host for NetworkView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        Ok(self.table.push(TcpSocket { options: Options::new(family), state: State::Unbound })?)
    }
}

impl tcp::Host for NetworkView<'_> {}

impl tcp::HostTcpSocket for NetworkView<'_> {
    socket_options!(TcpSocket, hop_limit, set_hop_limit);

    /// Binds to a listener that the component was given: by its port at the unspecified or the loopback address, at the
    /// address of the service's own name, or at that of `net.listen`.
    fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let local = SocketAddr::from(address);
        self.unbound(&socket, local)?;
        match self.services.as_mut().map(|services| services.listen(local)) {
            None | Some(Err(ErrorCode::AccessDenied)) => self.refuse_listen("tcp", local),
            Some(port) => {
                self.table.get_mut(&socket)?.state = State::Bound { finished: false, port: port?, local };
                Ok(())
            }
        }
    }

    fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        match &mut self.table.get_mut(&socket)?.state {
            State::Bound { finished: finished @ false, .. } => *finished = true,
            _ => return Err(ErrorCode::NotInProgress.into()),
        }
        Ok(())
    }

    fn start_connect(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        const CALL: &str = "start-connect";
        self.table.get(&network)?;
        let remote = SocketAddr::from(address);
        self.unbound(&socket, remote)?;
        let service = self.services.as_ref().and_then(|services| services.names.name(remote.ip()));
        let service = service.map(ToOwned::to_owned);
        let dialled = match (&self.services, &service) {
            (None, _) => Err(Error::ACCES),
            // Port 0 is nobody's; it must not reach the host as one.
            (Some(_), Some(_)) if remote.port() == 0 => Err(Error::INVAL),
            (Some(services), Some(service)) => services.dial(service, remote.port()),
            (Some(services), None) => services.reach(remote),
        };
        if service.is_none() && matches!(dialled, Err(Error::ACCES)) {
            // The socket was not used.
            return self.refuse_connect(CALL, "tcp", remote);
        }
        let dialled = self.dialled(CALL, service.as_deref(), remote, dialled);
        let state = &mut self.table.get_mut(&socket)?.state;
        *state = State::Closed;
        *state = State::Connecting { connection: dialled?, service, remote };
        Ok(())
    }

    fn finish_connect(&mut self, socket: Socket) -> SocketResult<Streams> {
        let State::Connecting { connection, service, remote } = &self.table.get(&socket)?.state else {
            return Err(ErrorCode::NotInProgress.into());
        };
        let (connection, service, remote) = (connection.clone(), service.clone(), *remote);
        match connection.connected() {
            Ok(()) => {
                let streams = self.streams(&socket, &connection)?;
                self.table.get_mut(&socket)?.state =
                    State::Connected { connection, local: own_end(remote.ip()), remote };
                Ok(streams)
            }
            Err(Error::AGAIN) => Err(ErrorCode::WouldBlock.into()),
            failed => {
                self.table.get_mut(&socket)?.state = State::Closed;
                self.dialled("finish-connect", service.as_deref(), remote, failed)?;
                Err(ErrorCode::Unknown.into())
            }
        }
    }

    fn start_listen(&mut self, socket: Socket) -> SocketResult<()> {
        let state = &mut self.table.get_mut(&socket)?.state;
        match std::mem::replace(state, State::Closed) {
            State::Bound { finished: true, port, local } => {
                *state = State::Listening { finished: false, port, local, accepted: None };
                Ok(())
            }
            other => {
                let busy = matches!(
                    other,
                    State::Bound { finished: false, .. }
                        | State::Listening { finished: false, .. }
                        | State::Connecting { .. }
                );
                *state = other;
                Err(if busy { ErrorCode::ConcurrencyConflict } else { ErrorCode::InvalidState }.into())
            }
        }
    }

    fn finish_listen(&mut self, socket: Socket) -> SocketResult<()> {
        match &mut self.table.get_mut(&socket)?.state {
            State::Listening { finished: finished @ false, .. } => *finished = true,
            _ => return Err(ErrorCode::NotInProgress.into()),
        }
        Ok(())
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (options, local, connection) = self.take_waiting(&socket)?;
        match self.push_accepted(options, local, &connection) {
            Ok((accepted, (input, output))) => Ok((accepted, input, output)),
            Err(error) => {
                if let State::Listening { accepted, .. } = &mut self.table.get_mut(&socket)?.state {
                    *accepted = Some(connection);
                }
                Err(error)
            }
        }
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        match &self.table.get(&socket)?.state {
            State::Bound { local, .. } | State::Listening { local, .. } | State::Connected { local, .. } => {
                Ok((*local).into())
            }
            State::Connecting { remote, .. } => Ok(own_end(remote.ip()).into()),
            State::Unbound | State::Closed => Err(ErrorCode::InvalidState.into()),
        }
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        match &self.table.get(&socket)?.state {
            State::Connected { remote, .. } => Ok((*remote).into()),
            _ => Err(ErrorCode::InvalidState.into()),
        }
    }

    fn is_listening(&mut self, socket: Socket) -> wasmtime::Result<bool> {
        Ok(matches!(self.table.get(&socket)?.state, State::Listening { finished: true, .. }))
    }

    /// The backlog is the host's.
    fn set_listen_backlog_size(&mut self, socket: Socket, size: u64) -> SocketResult<()> {
        not_zero(size)?;
        match self.table.get(&socket)?.state {
            State::Connecting { .. } | State::Connected { .. } => Err(ErrorCode::InvalidState.into()),
            _ => Ok(()),
        }
    }

    fn keep_alive_enabled(&mut self, socket: Socket) -> SocketResult<bool> {
        Ok(self.table.get(&socket)?.options.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> SocketResult<()> {
        self.table.get_mut(&socket)?.options.keep_alive = value;
        Ok(())
    }

    fn keep_alive_idle_time(&mut self, socket: Socket) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.options.keep_alive_idle_time)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.table.get_mut(&socket)?.options.keep_alive_idle_time = not_zero(value)?;
        Ok(())
    }

    fn keep_alive_interval(&mut self, socket: Socket) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.options.keep_alive_interval)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: u64) -> SocketResult<()> {
        self.table.get_mut(&socket)?.options.keep_alive_interval = not_zero(value)?;
        Ok(())
    }

    fn keep_alive_count(&mut self, socket: Socket) -> SocketResult<u32> {
        Ok(self.table.get(&socket)?.options.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> SocketResult<()> {
        self.table.get_mut(&socket)?.options.keep_alive_count = not_zero(value)?;
        Ok(())
    }

    fn shutdown(&mut self, socket: Socket, ways: ShutdownType) -> SocketResult<()> {
        let State::Connected { connection, .. } = &self.table.get(&socket)?.state else {
            return Err(ErrorCode::InvalidState.into());
        };
        let direction = match ways {
            ShutdownType::Receive => Direction::Receive,
            ShutdownType::Send => Direction::Send,
            ShutdownType::Both => Direction::Both,
        };
        Ok(connection.shutdown(direction)?)
    }
}
