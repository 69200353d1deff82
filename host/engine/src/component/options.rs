//! The options of sockets. Nothing depends on them: they are kept, and told when they are asked for.

use super::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use super::network::SocketResult;

/// What a guest may set, at what Linux starts with. An accepted socket has those of its listener.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) family: IpAddressFamily,
    pub(super) keep_alive: bool,
    /// Nanoseconds.
    pub(super) keep_alive_idle_time: u64,
    /// Nanoseconds.
    pub(super) keep_alive_interval: u64,
    pub(super) keep_alive_count: u32,
    pub(super) hop_limit: u8,
    /// Bytes.
    pub(super) receive_buffer: u64,
    /// Bytes.
    pub(super) send_buffer: u64,
}

impl Options {
    pub(super) fn new(family: IpAddressFamily) -> Self {
        Self {
            family,
            keep_alive: false,
            keep_alive_idle_time: 7200 * 1_000_000_000,
            keep_alive_interval: 75 * 1_000_000_000,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer: 64 << 10,
            send_buffer: 64 << 10,
        }
    }
}

/// Zero is no value of any option that is a number.
pub(super) fn not_zero<N: Default + PartialEq>(value: N) -> SocketResult<N> {
    if value == N::default() { Err(ErrorCode::InvalidArgument.into()) } else { Ok(value) }
}

/// What the interfaces of TCP and UDP sockets have in common, inside an `impl` of either. A socket has a field `options`;
/// `$hops` are the names of the getter and the setter that differ.
macro_rules! socket_options {
    ($Socket:ty, $hop_limit:ident, $set_hop_limit:ident) => {
        fn address_family(&mut self, socket: Resource<$Socket>) -> wasmtime::Result<IpAddressFamily> {
            Ok(self.table.get(&socket)?.options.family)
        }

        fn $hop_limit(&mut self, socket: Resource<$Socket>) -> SocketResult<u8> {
            Ok(self.table.get(&socket)?.options.hop_limit)
        }

        fn $set_hop_limit(&mut self, socket: Resource<$Socket>, value: u8) -> SocketResult<()> {
            self.table.get_mut(&socket)?.options.hop_limit = not_zero(value)?;
            Ok(())
        }

        fn receive_buffer_size(&mut self, socket: Resource<$Socket>) -> SocketResult<u64> {
            Ok(self.table.get(&socket)?.options.receive_buffer)
        }

        fn set_receive_buffer_size(&mut self, socket: Resource<$Socket>, value: u64) -> SocketResult<()> {
            self.table.get_mut(&socket)?.options.receive_buffer = not_zero(value)?;
            Ok(())
        }

        fn send_buffer_size(&mut self, socket: Resource<$Socket>) -> SocketResult<u64> {
            Ok(self.table.get(&socket)?.options.send_buffer)
        }

        fn set_send_buffer_size(&mut self, socket: Resource<$Socket>, value: u64) -> SocketResult<()> {
            self.table.get_mut(&socket)?.options.send_buffer = not_zero(value)?;
            Ok(())
        }

        fn subscribe(&mut self, socket: Resource<$Socket>) -> wasmtime::Result<Resource<DynPollable>> {
            subscribe(self.table, socket)
        }

        fn drop(&mut self, socket: Resource<$Socket>) -> wasmtime::Result<()> {
            self.table.delete(socket)?;
            Ok(())
        }
    };
}

pub(super) use socket_options;
