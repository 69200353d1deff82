//! UDP sockets that go nowhere. Binding is refused, and without it nothing else is possible.

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::sockets::udp::{self, IncomingDatagram, OutgoingDatagram};
use super::bindings::sockets::udp_create_socket;
use super::network::{Network, NetworkView, Never, SocketResult};
use super::options::{Options, not_zero, socket_options};

/// A socket that is never bound.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct UdpSocket {
    options: Options,
}

#[async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {}
}

type Socket = Resource<UdpSocket>;

impl NetworkView<'_> {
    /// Answers for a socket of which that is all there is to say.
    fn udp<T>(&self, socket: &Socket, code: ErrorCode) -> SocketResult<T> {
        self.table.get(socket)?;
        Err(code.into())
    }
}

impl udp_create_socket::Host for NetworkView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        Ok(self.table.push(UdpSocket { options: Options::new(family) })?)
    }
}

impl udp::Host for NetworkView<'_> {}

impl udp::HostUdpSocket for NetworkView<'_> {
    socket_options!(UdpSocket, unicast_hop_limit, set_unicast_hop_limit);

    fn start_bind(
        &mut self,
        socket: Socket,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&socket)?;
        self.refuse_listen("udp", address.into())
    }

    fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        self.udp(&socket, ErrorCode::NotInProgress)
    }

    fn stream(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<Never>, Resource<Never>)> {
        match remote {
            Some(address) => {
                self.table.get(&socket)?;
                self.refuse_connect("stream", "udp", address.into())
            }
            None => self.udp(&socket, ErrorCode::InvalidState),
        }
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.udp(&socket, ErrorCode::InvalidState)
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.udp(&socket, ErrorCode::InvalidState)
    }
}

impl udp::HostIncomingDatagramStream for NetworkView<'_> {
    fn receive(&mut self, stream: Resource<Never>, _: u64) -> SocketResult<Vec<IncomingDatagram>> {
        match *self.table.get(&stream)? {}
    }

    fn subscribe(&mut self, stream: Resource<Never>) -> wasmtime::Result<Resource<DynPollable>> {
        match *self.table.get(&stream)? {}
    }

    fn drop(&mut self, stream: Resource<Never>) -> wasmtime::Result<()> {
        match self.table.delete(stream)? {}
    }
}

impl udp::HostOutgoingDatagramStream for NetworkView<'_> {
    fn check_send(&mut self, stream: Resource<Never>) -> SocketResult<u64> {
        match *self.table.get(&stream)? {}
    }

    fn send(&mut self, stream: Resource<Never>, _: Vec<OutgoingDatagram>) -> SocketResult<u64> {
        match *self.table.get(&stream)? {}
    }

    fn subscribe(&mut self, stream: Resource<Never>) -> wasmtime::Result<Resource<DynPollable>> {
        match *self.table.get(&stream)? {}
    }

    fn drop(&mut self, stream: Resource<Never>) -> wasmtime::Result<()> {
        match self.table.delete(stream)? {}
    }
}
