//! `wasi:sockets`: the service network, and what was granted of the one outside. Names that end in `.svc` are those of
//! services. The host says what else may be looked up and connected to; the rest is refused with `access-denied` and
//! remembered.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use qyv_vfs::Error;
use qyv_wasi::{Denials, Right};
use wasmtime::component::{HasData, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use super::bindings::sockets::{instance_network, ip_name_lookup, network};
use super::connection::Connection;
use super::error::{socket_code, socket_code_of};
use super::services::Services;

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

/// The addresses of a name.
#[expect(unreachable_pub, reason = "re-exported by the generated bindings")]
pub struct Addresses(Found);

enum Found {
    /// Those that were not asked for yet.
    Left(std::vec::IntoIter<IpAddr>),
    /// A host outside is being looked up by this name.
    Later(Arc<Connection>, String),
}

impl Addresses {
    fn of(addresses: Vec<IpAddr>) -> Self {
        Self(Found::Left(addresses.into_iter()))
    }
}

#[async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        if let Found::Later(look_up, _) = &self.0 {
            poll_fn(|context| look_up.poll_connected(context)).await;
        }
    }
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

impl From<Error> for SocketError {
    fn from(error: Error) -> Self {
        Self::Code(socket_code(error))
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
    /// `None` where there is nothing to reach: then everything is refused.
    pub(super) services: Option<&'a mut Services>,
}

impl NetworkView<'_> {
    /// Refuses to connect to an address of this protocol.
    pub(super) fn refuse_connect<T>(
        &mut self,
        call: &'static str,
        protocol: &str,
        address: SocketAddr,
    ) -> SocketResult<T> {
        let what = format!("{protocol}://{address}");
        self.refuse_outside(call, what.clone(), what)
    }

    /// Refuses to wait for others at an address.
    pub(super) fn refuse_listen<T>(&mut self, protocol: &str, address: SocketAddr) -> SocketResult<T> {
        self.denials.record("start-bind", format!("{protocol}://{address}"), Right::Listen);
        Err(ErrorCode::AccessDenied.into())
    }

    /// Remembers that `missing` should have been granted. Always `access-denied`.
    pub(super) fn refuse_outside<T>(
        &mut self,
        call: &'static str,
        what: String,
        missing: String,
    ) -> SocketResult<T> {
        self.denials.record(call, what, Right::Connect(missing));
        Err(ErrorCode::AccessDenied.into())
    }

    /// Begins to look up a host outside.
    fn look_up(&mut self, call: &'static str, name: String) -> SocketResult<Resource<Addresses>> {
        match self.services.as_ref().map_or(Err(Error::ACCES), |services| services.look_up(&name)) {
            Ok(look_up) => Ok(self.table.push(Addresses(Found::Later(look_up, name)))?),
            Err(Error::ACCES) => self.refuse_outside(call, name.clone(), name),
            // There are too many at the moment.
            Err(Error::MFILE | Error::NOMEM) => Err(ErrorCode::TemporaryResolverFailure.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of a look-up.
    fn looked_up(&mut self, look_up: &Connection, name: String) -> SocketResult<Vec<IpAddr>> {
        match look_up.addresses() {
            Ok(addresses) => Ok(addresses),
            Err(Error::ACCES) => {
                let missing = look_up.missing().unwrap_or_else(|| name.clone());
                self.refuse_outside("resolve-next-address", name, missing)
            }
            Err(Error::NOENT) => Err(ErrorCode::NameUnresolvable.into()),
            Err(Error::TIMEDOUT | Error::IO) => Err(ErrorCode::TemporaryResolverFailure.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers that a service may not be dialled.
    pub(super) fn dial_denied(&mut self, call: &'static str, what: String, service: &str) {
        self.denials.record(call, what, Right::Dial(service.to_owned()));
    }
}

/// The end of a name that is a service's.
pub(super) const SERVICE_SUFFIX: &str = ".svc";

impl From<IpSocketAddress> for SocketAddr {
    fn from(address: IpSocketAddress) -> Self {
        match address {
            IpSocketAddress::Ipv4(v4) => {
                let (a, b, c, d) = v4.address;
                (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), v4.port).into()
            }
            IpSocketAddress::Ipv6(v6) => {
                let (a, b, c, d, e, f, g, h) = v6.address;
                (IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), v6.port).into()
            }
        }
    }
}

impl From<SocketAddr> for IpSocketAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => {
                Self::Ipv4(Ipv4SocketAddress { port: v4.port(), address: v4.ip().octets().into() })
            }
            SocketAddr::V6(v6) => Self::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: 0,
                address: v6.ip().segments().into(),
                scope_id: 0,
            }),
        }
    }
}

/// The version of an address.
pub(super) fn family(address: SocketAddr) -> IpAddressFamily {
    if address.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
}

impl network::Host for NetworkView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        match error {
            SocketError::Code(code) => Ok(code),
            SocketError::Trap(error) => Err(error),
        }
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(socket_code_of(self.table.get(&error)?))
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
    /// Gives an address for `<service>.svc` when the component may dial that service, or offers it: nothing is dialled. Any
    /// other name is one outside.
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<Addresses>> {
        const CALL: &str = "resolve-addresses";
        self.table.get(&network)?;
        let Some(service) = name.strip_suffix(SERVICE_SUFFIX) else {
            return self.look_up(CALL, name);
        };
        let found = match &self.services {
            Some(services) if services.offers(service) => Ok(()),
            Some(services) => services.host().with(|host| host.service(service, None)),
            None => Err(Error::ACCES),
        };
        match (found, &mut self.services) {
            (Ok(()), Some(services)) => {
                let address = services.names.address(service).ok_or(ErrorCode::TemporaryResolverFailure)?;
                Ok(self.table.push(Addresses::of(vec![address.into()]))?)
            }
            (Err(Error::NOENT), _) => Err(ErrorCode::NameUnresolvable.into()),
            (Err(error), _) if error != Error::ACCES => Err(error.into()),
            _ => {
                self.dial_denied(CALL, name.clone(), service);
                Err(ErrorCode::AccessDenied.into())
            }
        }
    }
}

impl ip_name_lookup::HostResolveAddressStream for NetworkView<'_> {
    fn resolve_next_address(&mut self, stream: Resource<Addresses>) -> SocketResult<Option<IpAddress>> {
        if let Addresses(Found::Later(look_up, name)) = self.table.get(&stream)? {
            let (look_up, name) = (Arc::clone(look_up), name.clone());
            let found = self.looked_up(&look_up, name);
            if matches!(found, Err(SocketError::Code(ErrorCode::WouldBlock))) {
                return Err(ErrorCode::WouldBlock.into());
            }
            // What failed has no more to tell.
            let left = found.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
            *self.table.get_mut(&stream)? = Addresses::of(left);
            found?;
        }
        let Addresses(Found::Left(left)) = self.table.get_mut(&stream)? else { return Ok(None) };
        Ok(left.next().map(|address| match address {
            IpAddr::V4(v4) => IpAddress::Ipv4(v4.octets().into()),
            IpAddr::V6(v6) => IpAddress::Ipv6(v6.segments().into()),
        }))
    }

    fn subscribe(&mut self, stream: Resource<Addresses>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<Addresses>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
