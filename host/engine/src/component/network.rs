//! Looking up names, refused. wasmtime's own refusal is `permanent-resolver-failure`, which a program shows as a
//! broken network; the truth is `access-denied`.

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError};

/// Names [`NoNames`] to the linker.
pub(super) struct HasNoNames;

impl HasData for HasNoNames {
    type Data<'a> = NoNames<'a>;
}

/// A resolver that refuses every name.
pub(super) struct NoNames<'a>(pub(super) &'a mut ResourceTable);

fn denied<T>() -> Result<T, SocketError> {
    Err(ErrorCode::AccessDenied.into())
}

impl Host for NoNames<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        _: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        denied()
    }
}

impl network::Host for NoNames<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, _: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for NoNames<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.0.delete(network)?;
        Ok(())
    }
}

/// No guest ever holds one of these streams.
impl HostResolveAddressStream for NoNames<'_> {
    fn resolve_next_address(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        denied()
    }

    fn subscribe(&mut self, _: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime::bail!("no name was looked up")
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }
}
