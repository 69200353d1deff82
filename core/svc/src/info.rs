//! What `/svc/<name>/.info` says, in JSON.

use alloc::string::String;
use core::fmt::{self, Write};

use qyv_spec::manifest::Protocol;

use crate::directory::{Entry, Port};

/// One object: `name`, `description`, `up`, the `protocol` that a dial without a port speaks, and `ports`, each with
/// its `port` (`null` for one without a number), `protocol` and `up`. Only of ports that are `allowed`.
pub(crate) fn json(name: &str, entry: &Entry, allowed: impl Fn(Option<u16>) -> bool) -> String {
    let mut text = String::new();
    // Writing into a `String` does not fail.
    let _ = write_json(&mut text, name, entry, allowed);
    text
}

fn write_json(
    out: &mut String,
    name: &str,
    entry: &Entry,
    allowed: impl Fn(Option<u16>) -> bool,
) -> fmt::Result {
    let ports = || entry.ports.iter().filter(|port| allowed(port.number));
    write!(out, "{{\"name\":{},\"description\":{}", Quoted(name), Quoted(&entry.description))?;
    write!(out, ",\"up\":{}", ports().any(Port::is_up))?;
    if let Some(first) = ports().next() {
        write!(out, ",\"protocol\":\"{}\"", protocol_name(first.protocol))?;
    }
    out.write_str(",\"ports\":[")?;
    for (index, port) in ports().enumerate() {
        out.write_str(if index == 0 { "{\"port\":" } else { ",{\"port\":" })?;
        match port.number {
            Some(number) => write!(out, "{number}")?,
            None => out.write_str("null")?,
        }
        let protocol = protocol_name(port.protocol);
        write!(out, ",\"protocol\":\"{protocol}\",\"up\":{}}}", port.is_up())?;
    }
    out.write_str("]}\n")
}

impl Port {
    fn is_up(&self) -> bool {
        !self.replicas.is_empty()
    }
}

/// As in a manifest.
fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Lines => "lines",
        Protocol::Frames => "frames",
        Protocol::Stream => "stream",
    }
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
