//! UDP sockets that go nowhere. Binding is refused, and without it nothing else is possible.

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::sockets::udp::{self, IncomingDatagram, OutgoingDatagram};
use super::bindings::sockets::udp_create_socket;
use super::network::{Network, NetworkView, Never, SocketResult};

/// A socket that is never bound.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct UdpSocket(IpAddressFamily);

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

    /// Takes an option that nothing will ever depend on.
    fn udp_option(&self, socket: &Socket) -> SocketResult<()> {
        self.table.get(socket)?;
        Ok(())
    }
}

impl udp_create_socket::Host for NetworkView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        Ok(self.table.push(UdpSocket(family))?)
    }
}

impl udp::Host for NetworkView<'_> {}

impl udp::HostUdpSocket for NetworkView<'_> {
    fn start_bind(&mut self, _: Socket, _: Resource<Network>, address: IpSocketAddress) -> SocketResult<()> {
        self.refuse_listen("start-bind", "udp", address)
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
            Some(address) => self.refuse_connect("stream", "udp", address),
            None => self.udp(&socket, ErrorCode::InvalidState),
        }
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.udp(&socket, ErrorCode::InvalidState)
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.udp(&socket, ErrorCode::InvalidState)
    }

    fn address_family(&mut self, socket: Socket) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.0)
    }

    fn unicast_hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        self.udp(&socket, ErrorCode::NotSupported)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, _: u8) -> SocketResult<()> {
        self.udp_option(&socket)
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.udp(&socket, ErrorCode::NotSupported)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.udp_option(&socket)
    }

    fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.udp(&socket, ErrorCode::NotSupported)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.udp_option(&socket)
    }

    fn subscribe(&mut self, socket: Socket) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, socket)
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
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
