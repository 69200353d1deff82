//! What `/svc/<name>/.info` says about a service.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;

use qyv_svc::protocol::Framing;
use serde_json::Value;

use super::address::Address;
use crate::error::ErrorKind;

thread_local! {
    /// The descriptions that were read, by name: one a service that the app dials.
    static KNOWN: RefCell<HashMap<String, String>> = RefCell::default();
}

/// The protocol of a service, as its description says.
pub(super) fn framing(address: Address<'_>) -> Result<Framing, ErrorKind> {
    let known = KNOWN.with_borrow(|known| known.get(address.name).map(|text| find(text, address.port)));
    // A port may have been added since.
    if let Some(Ok(framing)) = known {
        return Ok(framing);
    }
    let text =
        fs::read_to_string(format!("/svc/{}/.info", address.name)).map_err(|error| ErrorKind::of(&error))?;
    let framing = find(&text, address.port)?;
    KNOWN.with_borrow_mut(|known| known.insert(address.name.to_owned(), text));
    Ok(framing)
}

/// The service may be another one when it is dialled again.
pub(super) fn forget(name: &str) {
    KNOWN.with_borrow_mut(|known| known.remove(name));
}

fn find(text: &str, port: Option<u16>) -> Result<Framing, ErrorKind> {
    let service: Value = serde_json::from_str(text).map_err(|_| ErrorKind::NoProtocol)?;
    let named = match port {
        None => service.get("protocol"),
        Some(port) => {
            let ports = service.get("ports").and_then(Value::as_array).ok_or(ErrorKind::NoProtocol)?;
            let this =
                ports.iter().find(|entry| entry.get("port").and_then(Value::as_u64) == Some(port.into()));
            this.ok_or(ErrorKind::Unknown)?.get("protocol")
        }
    };
    match named.and_then(Value::as_str) {
        Some("lines") => Ok(Framing::Lines),
        Some("frames") => Ok(Framing::Frames),
        Some("stream") => Ok(Framing::Stream),
        // A protocol of a later host.
        _ => Err(ErrorKind::NoProtocol),
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, Framing, find};

    const INFO: &str = concat!(
        r#"{"name":"db","description":"\"protocol\":\"stream\"","up":true,"protocol":"frames","#,
        r#""ports":[{"port":null,"protocol":"frames","up":true},{"port":2,"protocol":"lines","up":false},"#,
        r#"{"port":3,"protocol":"carrier-pigeon","up":true}]}"#,
        "\n"
    );

    #[test]
    fn the_protocol_is_that_of_the_port() {
        assert_eq!(find(INFO, None), Ok(Framing::Frames));
        assert_eq!(find(INFO, Some(2)), Ok(Framing::Lines));
        assert_eq!(find(INFO, Some(4)), Err(ErrorKind::Unknown));
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        assert_eq!(find(INFO, Some(3)), Err(ErrorKind::NoProtocol));
        for text in ["", "{}", "[]", "null", r#"{"protocol":1}"#, r#"{"protocol":"lines""#] {
            assert_eq!(find(text, None), Err(ErrorKind::NoProtocol), "{text}");
            assert_eq!(find(text, Some(1)), Err(ErrorKind::NoProtocol), "{text}");
        }
    }
}
