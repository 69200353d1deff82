//! Requests of a component to servers outside: whether they may leave is known where they are carried.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;
use qyv_wasi::limits::DENIALS_MAX;
use qyv_wasi::{Denials, Right};
use qyvol_net::Outside;
use qyvol_net::http::{Fault, Timeouts};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::limits::BODY_WRITE;

/// The side of `wasi:http` that is the host's to decide. It keeps the component's denials, as `wasi:http` reaches nothing
/// else of its host.
pub(super) struct Outgoing {
    pub(super) denials: Denials,
    outside: Option<Arc<Outside>>,
    late: Late,
}

/// What was refused after the call had returned: where a request was to go, and what should have been granted.
type Late = Arc<Mutex<Vec<(String, String)>>>;

/// What carries a request on after its head was answered.
type Rest = Box<dyn Future<Output = Result<()>> + Send>;
/// A request that is on its way.
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Rest)>> + Send>;

/// The call that sends a request, for denials.
const CALL: &str = "handle";

impl Outgoing {
    pub(super) fn new(denials: Denials, outside: Option<Arc<Outside>>) -> Self {
        Self { denials, outside, late: Arc::default() }
    }

    /// Puts what was refused meanwhile to the other denials.
    pub(super) fn gather(&mut self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        for (origin, missing) in late {
            self.denials.record(CALL, origin, Right::Connect(missing));
        }
    }
}

/// `https://example.org:8443`.
fn origin_of(uri: &http::Uri) -> String {
    let host = uri.authority().map_or("", http::uri::Authority::as_str);
    format!("{}://{host}", uri.scheme_str().unwrap_or("https"))
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Sent {
        let origin = origin_of(request.uri());
        let timeouts = options.map_or_else(Timeouts::default, |options| Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        });
        let sending = match &self.outside {
            Some(outside) => outside.request(request, timeouts),
            None => Err(Fault::Denied(None)),
        };
        let sending = match sending {
            Ok(sending) => sending,
            Err(fault) => {
                let error = if let Fault::Denied(missing) = fault {
                    let missing = missing.unwrap_or_else(|| origin.clone());
                    self.denials.record(CALL, origin, Right::Connect(missing));
                    Error::HttpRequestDenied
                } else {
                    error_of(fault)
                };
                return Box::new(async move { Err(error) });
            }
        };
        let late = Arc::clone(&self.late);
        Box::new(async move {
            match sending.await {
                Ok(answer) => {
                    let answer = answer.map(|body| body.map_err(error_of).boxed_unsync());
                    // Whoever carries it goes on by itself.
                    Ok((answer, Box::new(async { Ok(()) }) as Rest))
                }
                Err(fault) => {
                    if let Fault::Denied(Some(missing)) = &fault {
                        let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
                        if late.len() < DENIALS_MAX {
                            late.push((origin, missing.clone()));
                        }
                    }
                    Err(error_of(fault))
                }
            }
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_WRITE
    }
}

/// The name that `wasi:http` has for a failure.
fn error_of(fault: Fault) -> Error {
    match fault {
        // An address that its name may not stand for.
        Fault::Denied(Some(_)) => Error::DestinationIpProhibited,
        Fault::Name => Error::DnsError { rcode: None, info_code: None },
        Fault::Unreachable => Error::DestinationIpUnroutable,
        Fault::Refused => Error::ConnectionRefused,
        Fault::Terminated => Error::ConnectionTerminated,
        Fault::ConnectTimeout => Error::ConnectionTimeout,
        Fault::Silence => Error::ConnectionReadTimeout,
        Fault::Limit | Fault::Memory => Error::ConnectionLimitReached,
        Fault::Uri => Error::HttpRequestUriInvalid,
        Fault::Certificate(_) => Error::TlsCertificateError,
        Fault::Tls(_) => Error::TlsProtocolError,
        Fault::HeadTooLarge => Error::HttpResponseHeaderSectionSize(None),
        Fault::Protocol(_) => Error::HttpProtocolError,
        _ => Error::HttpRequestDenied,
    }
}
