//! `wasi:sockets` without a network. A program can make sockets, as they are nothing but numbers here; where it then wants
//! to connect, to listen or to look up is refused with `access-denied` and remembered. No socket of the host is ever made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use qyv_wasi::{Denials, Right};
use wasmtime::component::{HasData, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable};

use super::bindings::sockets::network::{ErrorCode, IpAddress, IpSocketAddress};
use super::bindings::sockets::{instance_network, ip_name_lookup, network};

/// The handle that stands for the network; it grants nothing.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct Network;

/// What no guest ever holds: the results of what is refused.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub enum Never {}

#[async_trait]
impl Pollable for Never {
    async fn ready(&mut self) {}
}

/// Why a call of `wasi:sockets` failed: with a code for the guest, or by ending the guest.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
#[derive(Debug)]
pub enum SocketError {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest broke the rules of the component model and is stopped.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for SocketError {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for SocketError {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Code(ErrorCode::NewSocketLimit),
            other => Self::Trap(other.into()),
        }
    }
}

pub(super) type SocketResult<T> = Result<T, SocketError>;

/// Names [`NetworkView`] to the linker.
pub(super) struct HasNetwork;

impl HasData for HasNetwork {
    type Data<'a> = NetworkView<'a>;
}

/// What a call of `wasi:sockets` works on.
pub(super) struct NetworkView<'a> {
    pub(super) table: &'a mut ResourceTable,
    pub(super) denials: &'a mut Denials,
}

impl NetworkView<'_> {
    /// Refuses to connect to an address of this protocol.
    pub(super) fn refuse_connect<T>(
        &mut self,
        call: &'static str,
        protocol: &str,
        address: IpSocketAddress,
    ) -> SocketResult<T> {
        let what = url(protocol, address);
        self.denials.record(call, what.clone(), Right::Connect(what));
        Err(ErrorCode::AccessDenied.into())
    }

    /// Refuses to wait for others at an address.
    pub(super) fn refuse_listen<T>(
        &mut self,
        call: &'static str,
        protocol: &str,
        address: IpSocketAddress,
    ) -> SocketResult<T> {
        self.denials.record(call, url(protocol, address), Right::Listen);
        Err(ErrorCode::AccessDenied.into())
    }
}

/// `tcp://[::1]:80`.
fn url(protocol: &str, address: IpSocketAddress) -> String {
    let address: SocketAddr = match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), v4.port).into()
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            (IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), v6.port).into()
        }
    };
    format!("{protocol}://{address}")
}

impl network::Host for NetworkView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        match error {
            SocketError::Code(code) => Ok(code),
            SocketError::Trap(error) => Err(error),
        }
    }

    /// No error of a stream is a socket's.
    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.table.get(&error)?;
        Ok(None)
    }
}

impl network::HostNetwork for NetworkView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for NetworkView<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl ip_name_lookup::Host for NetworkView<'_> {
    fn resolve_addresses(&mut self, _: Resource<Network>, name: String) -> SocketResult<Resource<Never>> {
        let right = match name.strip_suffix(".svc") {
            Some(service) => Right::Dial(service.to_owned()),
            None => Right::Connect(name.clone()),
        };
        self.denials.record("resolve-addresses", name, right);
        Err(ErrorCode::AccessDenied.into())
    }
}

impl ip_name_lookup::HostResolveAddressStream for NetworkView<'_> {
    fn resolve_next_address(&mut self, stream: Resource<Never>) -> SocketResult<Option<IpAddress>> {
        match *self.table.get(&stream)? {}
    }

    fn subscribe(&mut self, stream: Resource<Never>) -> wasmtime::Result<Resource<DynPollable>> {
        match *self.table.get(&stream)? {}
    }

    fn drop(&mut self, stream: Resource<Never>) -> wasmtime::Result<()> {
        match self.table.delete(stream)? {}
    }
}
