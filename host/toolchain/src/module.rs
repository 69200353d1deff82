//! What is asked of a module's bytes, and done with them.

use wasmparser::{Validator, WasmFeatures};

/// The sections that only help who looks for a mistake.
const DEBUG_SECTIONS: [&str; 4] = ["name", "component-name", "sourceMappingURL", "external_debug_info"];
/// The section of a module, and of a component, within a component.
const NESTED: [u8; 2] = [1, 4];
/// Of modules and components alike.
const HEADER_BYTES: usize = 8;
/// The layer of a component, in the header.
const COMPONENT_LAYER: u8 = 1;
/// How deep modules and components may lie in each other.
const DEPTH_MAX: usize = 16;

/// What may be in a module, whatever engine it is for.
fn everything() -> WasmFeatures {
    WasmFeatures::all()
}

/// Whether the bytes are a module or component that holds together.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    Validator::new_with_features(everything())
        .validate_all(bytes)
        .map(drop)
        .map_err(|error| error.message().to_owned())
}

/// Whether the bytes are a component.
pub(crate) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && bytes.get(6) == Some(&COMPONENT_LAYER)
}

/// Whether a module needs garbage collection or exceptions of its engine.
pub(crate) fn needs_gc_or_exceptions(bytes: &[u8]) -> bool {
    let without = everything()
        .difference(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES)
        .difference(WasmFeatures::EXCEPTIONS | WasmFeatures::LEGACY_EXCEPTIONS);
    Validator::new_with_features(without).validate_all(bytes).is_err()
}

/// The bytes without what only helps who looks for a mistake: names and positions in sources. What cannot be read stays as it
/// is.
pub(crate) fn stripped(bytes: &[u8]) -> Vec<u8> {
    strip(bytes, 0).unwrap_or_else(|| bytes.to_owned())
}

fn strip(bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let component = is_component(bytes);
    let mut kept = header.to_owned();
    while let [id, after @ ..] = rest {
        let (length, body) = number(after)?;
        let (body, next) = body.split_at_checked(length)?;
        if component && NESTED.contains(id) && depth < DEPTH_MAX {
            section(&mut kept, *id, &strip(body, depth + 1)?);
        } else if *id != 0 || !is_debug(body) {
            section(&mut kept, *id, body);
        }
        rest = next;
    }
    Some(kept)
}

fn section(into: &mut Vec<u8>, id: u8, body: &[u8]) {
    into.push(id);
    let mut length = body.len();
    while length >= 0x80 {
        into.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
    into.extend(body);
}

/// An unsigned LEB128 number of 32 bits, and what comes after it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[place + 1..]));
        }
    }
    None
}

/// Whether the custom section with this body is one for debuggers.
fn is_debug(body: &[u8]) -> bool {
    let name = number(body).and_then(|(length, rest)| rest.get(..length));
    let name = name.and_then(|name| str::from_utf8(name).ok()).unwrap_or_default();
    name.starts_with(".debug_") || DEBUG_SECTIONS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn names_go_and_everything_else_stays() {
        let with = assembled(
            r#"(module $named (func $long_name (export "f") (result i32) i32.const 7)
                (@custom "producers" "\00") (@custom ".debug_info" "abcdef") (@custom "mine" "kept"))"#,
        );
        let without = stripped(&with);
        check(&without).unwrap();
        let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        for gone in ["long_name", ".debug_info"] {
            assert!(has(&with, gone) && !has(&without, gone), "{gone}");
        }
        for kept in ["producers", "mine", "kept"] {
            assert!(has(&without, kept), "{kept}");
        }
        assert_eq!(stripped(&without), without);
    }

    #[test]
    fn what_is_inside_a_component_is_stripped_too() {
        let with =
            assembled("(component (core module $m (func $inner)) (component (core module (func $deep))))");
        let without = stripped(&with);
        check(&without).unwrap();
        assert!(without.len() < with.len());
        assert!(!without.windows(5).any(|part| part == b"inner"));
        assert!(is_component(&without) && !is_component(&assembled("(module)")));
    }

    #[test]
    fn broken_bytes_stay_as_they_are() {
        let whole = assembled("(module $m (func $f))");
        for cut in 0..whole.len() {
            let part = &whole[..cut];
            let after = stripped(part);
            assert!(after == part || check(part).is_ok(), "cut at {cut}");
        }
        assert_eq!(
            stripped(b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f"),
            b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f"
        );
    }

    #[test]
    fn what_needs_a_collector_is_told_apart() {
        for (text, expected) in [
            ("(module (func (result v128) v128.const i64x2 0 0))", false),
            ("(module (table 1 externref) (func (result i32 i32) i32.const 1 i32.const 2))", false),
            ("(module (type (struct (field i32))))", true),
            ("(module (tag) (func (try_table (catch_all 0))))", true),
        ] {
            assert_eq!(needs_gc_or_exceptions(&assembled(text)), expected, "{text}");
        }
    }
}
