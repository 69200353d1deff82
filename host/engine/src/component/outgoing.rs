//! Requests of a component to servers outside: whether they may leave, and who carries them. For now none may.

use qyv_wasi::{Denials, Right};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::limits::BODY_WRITE;

/// The side of `wasi:http` that is the host's to decide. It keeps the component's denials, as `wasi:http` reaches nothing
/// else of its host.
pub(super) struct Outgoing {
    pub(super) denials: Denials,
}

/// What carries a request on after its head was answered.
type Rest = Box<dyn Future<Output = Result<()>> + Send>;
/// A request that is on its way.
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Rest)>> + Send>;

impl Outgoing {
    pub(super) fn new(denials: Denials) -> Self {
        Self { denials }
    }

    /// Refuses a request, and remembers where it was to go.
    fn refuse(&mut self, uri: &http::Uri) -> Error {
        let scheme = uri.scheme_str().unwrap_or("https");
        let host = uri.authority().map_or("", http::uri::Authority::as_str);
        let origin = format!("{scheme}://{host}");
        self.denials.record("handle", origin.clone(), Right::Connect(origin));
        Error::HttpRequestDenied
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Sent {
        let refused = self.refuse(request.uri());
        Box::new(async move { Err(refused) })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_WRITE
    }
}
