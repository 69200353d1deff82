//! TCP sockets that go nowhere.

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::sockets::tcp::{self, ShutdownType};
use super::bindings::sockets::tcp_create_socket;
use super::network::{Network, NetworkView, SocketResult};

/// A socket that is never bound or connected.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct TcpSocket(IpAddressFamily);

#[async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {}
}

type Socket = Resource<TcpSocket>;

impl NetworkView<'_> {
    /// Answers for a socket of which that is all there is to say.
    fn tcp<T>(&self, socket: &Socket, code: ErrorCode) -> SocketResult<T> {
        self.table.get(socket)?;
        Err(code.into())
    }

    /// Takes an option that nothing will ever depend on.
    fn tcp_option(&self, socket: &Socket) -> SocketResult<()> {
        self.table.get(socket)?;
        Ok(())
    }
}

impl tcp_create_socket::Host for NetworkView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Socket> {
        Ok(self.table.push(TcpSocket(family))?)
    }
}

impl tcp::Host for NetworkView<'_> {}

impl tcp::HostTcpSocket for NetworkView<'_> {
    fn start_bind(&mut self, _: Socket, _: Resource<Network>, address: IpSocketAddress) -> SocketResult<()> {
        self.refuse_listen("start-bind", "tcp", address)
    }

    fn start_connect(
        &mut self,
        _: Socket,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.refuse_connect("start-connect", "tcp", address)
    }

    fn finish_bind(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp(&socket, ErrorCode::NotInProgress)
    }

    fn finish_connect(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        self.tcp(&socket, ErrorCode::NotInProgress)
    }

    fn start_listen(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp(&socket, ErrorCode::InvalidState)
    }

    fn finish_listen(&mut self, socket: Socket) -> SocketResult<()> {
        self.tcp(&socket, ErrorCode::NotInProgress)
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> SocketResult<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        self.tcp(&socket, ErrorCode::InvalidState)
    }

    fn local_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.tcp(&socket, ErrorCode::InvalidState)
    }

    fn remote_address(&mut self, socket: Socket) -> SocketResult<IpSocketAddress> {
        self.tcp(&socket, ErrorCode::InvalidState)
    }

    fn is_listening(&mut self, socket: Socket) -> wasmtime::Result<bool> {
        self.table.get(&socket)?;
        Ok(false)
    }

    fn address_family(&mut self, socket: Socket) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.0)
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn keep_alive_enabled(&mut self, socket: Socket) -> SocketResult<bool> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, _: bool) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn keep_alive_idle_time(&mut self, socket: Socket) -> SocketResult<u64> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn keep_alive_interval(&mut self, socket: Socket) -> SocketResult<u64> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn keep_alive_count(&mut self, socket: Socket) -> SocketResult<u32> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, _: u32) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn hop_limit(&mut self, socket: Socket) -> SocketResult<u8> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_hop_limit(&mut self, socket: Socket, _: u8) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn send_buffer_size(&mut self, socket: Socket) -> SocketResult<u64> {
        self.tcp(&socket, ErrorCode::NotSupported)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, _: u64) -> SocketResult<()> {
        self.tcp_option(&socket)
    }

    fn subscribe(&mut self, socket: Socket) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, socket)
    }

    fn shutdown(&mut self, socket: Socket, _: ShutdownType) -> SocketResult<()> {
        self.tcp(&socket, ErrorCode::InvalidState)
    }

    fn drop(&mut self, socket: Socket) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
