//! Reading what clients send, with failures in the API's own words.

use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::Uri;
use qyv_spec::service::Name;
use qyvol_protocol::api::BODY_BYTES_MAX;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Kind};

/// Reads a body of JSON.
pub(crate) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Fault> {
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        Fault::new(
            Kind::TooLarge,
            format!("the request cannot be read, or is larger than {BODY_BYTES_MAX} bytes: {error}"),
        )
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Fault::invalid(format!("the request is not what it should be: {error}")))
}

/// Reads the part of an address after the `?`.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Fault> {
    Query::try_from_uri(uri)
        .map(|Query(value)| value)
        .map_err(|rejection| Fault::invalid(rejection.body_text()))
}

/// Reads the name of an app.
pub(crate) fn app(text: &str) -> Result<Name, Fault> {
    text.parse().map_err(|invalid: qyv_spec::Invalid| Fault::invalid(invalid.message))
}
