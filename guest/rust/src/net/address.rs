//! `service://name` and `service://name/port`.

use crate::error::ErrorKind;

/// Longest name, in bytes: that of a DNS label.
const NAME_BYTES_MAX: usize = 63;

/// The parts of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: Option<u16>,
}

/// Takes an address apart.
pub(crate) fn parse(text: &str) -> Result<Address<'_>, ErrorKind> {
    let rest = text.strip_prefix("service://").ok_or(ErrorKind::BadAddress)?;
    let (name, port) = match rest.split_once('/') {
        Some((name, port)) => (name, Some(parse_port(port)?)),
        None => (rest, None),
    };
    // The rule of manifests; nothing else may get into a path.
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let good = bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|b| inner(b) || *b == b'-')
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner);
    if good { Ok(Address { name, port }) } else { Err(ErrorKind::BadAddress) }
}

/// 1 to 65535, in its shortest form.
fn parse_port(text: &str) -> Result<u16, ErrorKind> {
    let port: u16 = text.parse().map_err(|_| ErrorKind::BadAddress)?;
    if text.starts_with(['0', '+']) { Err(ErrorKind::BadAddress) } else { Ok(port) }
}

#[cfg(test)]
mod tests {
    use super::{Address, ErrorKind, parse};

    #[test]
    fn names_and_ports() {
        assert_eq!(parse("service://logger"), Ok(Address { name: "logger", port: None }));
        assert_eq!(parse("service://a-1/65535"), Ok(Address { name: "a-1", port: Some(65535) }));
    }

    #[test]
    fn what_is_no_address_reaches_no_path() {
        let long = format!("service://{}", "a".repeat(64));
        for text in [
            "",
            "logger",
            "http://logger",
            "service://",
            "service:///1",
            "service://.info",
            "service://..",
            "service://a/..",
            "service://a/.info",
            "service://a/",
            "service://a/0",
            "service://a/01",
            "service://a/+1",
            "service://a/65536",
            "service://a/1/2",
            "service://-a",
            "service://a-",
            "service://Logger",
            "service://a\0",
            &long,
        ] {
            assert_eq!(parse(text), Err(ErrorKind::BadAddress), "{text}");
        }
    }
}
