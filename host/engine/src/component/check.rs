//! Tells before compiling whether a component can run here, in words for the person who runs it.

use std::error::Error;
use std::fmt;

use wasmparser::{Chunk, Parser, Payload};
use wasmtime::component::Component;

use super::link::OFFERED;

/// The interface that a program exports.
const RUN: &str = "wasi:cli/run";

/// The interface that a handler of requests exports.
const HANDLER: &str = "wasi:http/incoming-handler";

/// Why a component cannot run on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was built for WASI 0.3; the name of an import or export that shows it.
    Wasi03(String),
    /// It imports something that nobody offers; its name.
    NotOffered(String),
    /// It exports neither `wasi:cli/run` nor `wasi:http/incoming-handler` of WASI 0.2: a library.
    NoEntry,
    /// It is not a component; what the parser says.
    Malformed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wasi03(name) => write!(
                f,
                "the component is built for WASI 0.3 (`{name}`), and this host runs WASI 0.2: build it for 0.2 (for \
                 Rust, the target `wasm32-wasip2`)"
            ),
            Self::NotOffered(name) => write!(
                f,
                "the component imports `{name}`, which this host does not offer: build it without, or compose it \
                 with a component that exports it"
            ),
            Self::NoEntry => write!(
                f,
                "the component exports neither `{RUN}` nor `{HANDLER}` of WASI 0.2, so there is nothing to run: give \
                 it a `main`, or use it as a library of another component"
            ),
            Self::Malformed(why) => write!(f, "the component cannot be read: {why}"),
        }
    }
}

impl Error for Refusal {}

/// Checks that `wasm`, the bytes of a component, imports nothing but what [`add_to_linker`](super::add_to_linker)
/// links, and exports a program or a handler of requests. Only its outer imports and exports are looked at.
///
/// # Errors
///
/// The first [`Refusal`]; what shows WASI 0.3 goes first.
pub fn check(wasm: &[u8]) -> Result<(), Refusal> {
    let names = outer_names(wasm).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if let Some(name) = names.imports.iter().chain(&names.exports).find(|name| is_wasi03(name)) {
        return Err(Refusal::Wasi03((*name).to_owned()));
    }
    if let Some(name) =
        names.imports.iter().find(|name| !wasi02(name).is_some_and(|it| OFFERED.contains(&it)))
    {
        return Err(Refusal::NotOffered((*name).to_owned()));
    }
    if !names.exports.iter().any(|name| matches!(wasi02(name), Some(RUN | HANDLER))) {
        return Err(Refusal::NoEntry);
    }
    Ok(())
}

/// Whether a compiled component exports a program.
pub(crate) fn is_program(component: &Component) -> bool {
    exports(component, RUN)
}

/// Whether a compiled component exports a handler of requests.
pub(crate) fn is_handler(component: &Component) -> bool {
    exports(component, HANDLER)
}

fn exports(component: &Component, interface: &str) -> bool {
    let engine = component.engine();
    component.component_type().exports(engine).any(|(name, _)| wasi02(name) == Some(interface))
}

/// The interface of an import like `wasi:cli/exit@0.2.3`, if it is of a released WASI 0.2.
fn wasi02(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    (!patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())).then_some(interface)
}

fn is_wasi03(name: &str) -> bool {
    name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
}

/// What a component imports and exports at its outside.
#[derive(Default)]
struct Names<'a> {
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
}

fn outer_names(wasm: &[u8]) -> wasmparser::Result<Names<'_>> {
    let mut names = Names::default();
    let mut parser = Parser::new(0);
    let mut rest = wasm;
    loop {
        let Chunk::Parsed { mut consumed, payload } = parser.parse(rest, true)? else {
            return Ok(names);
        };
        match payload {
            // What is inside has its own imports, which the component satisfies.
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                consumed = consumed.saturating_add(unchecked_range.len());
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    names.imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    names.exports.push(export?.name.name);
                }
            }
            Payload::End(_) => return Ok(names),
            _ => {}
        }
        rest = rest.get(consumed..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;
    use wasmtime::component::Linker;

    use super::*;
    use crate::component::{ComponentState, add_to_linker};

    fn check_text(text: &str) -> Result<(), Refusal> {
        check(&wat::parse_str(text).unwrap())
    }

    const PROGRAM: &str = r#"(component $p (instance $run) (export "wasi:cli/run@0.2.0" (instance $run)))"#;

    fn importing(name: &str) -> String {
        format!(
            r#"(component (import "{name}" (instance)) {PROGRAM} (instance $i (instantiate $p))
            (alias export $i "wasi:cli/run@0.2.0" (instance $run)) (export "wasi:cli/run@0.2.0" (instance $run)))"#
        )
    }

    #[test]
    fn what_is_offered_is_linked() {
        let engine = Engine::default();
        let mut linker = Linker::<ComponentState>::new(&engine);
        add_to_linker(&mut linker).unwrap();
        for interface in OFFERED {
            for version in ["0.2.0", "0.2.12"] {
                let name = format!("{interface}@{version}");
                let wasm = wat::parse_str(importing(&name)).unwrap();
                assert_eq!(check(&wasm), Ok(()), "{name}");
                let component = Component::new(&engine, wasm).unwrap();
                assert!(linker.instantiate_pre(&component).is_ok(), "{name}");
            }
        }
    }

    /// The reference for authors of programs lists what is linked, in this order.
    #[test]
    fn what_is_offered_is_in_the_reference() {
        let reference = include_str!("../../../../docs/abi.md");
        let listed: Vec<&str> = reference
            .lines()
            .filter_map(|line| line.strip_prefix("- `wasi:"))
            .filter_map(|line| line.strip_suffix('`'))
            .collect();
        let offered: Vec<&str> = OFFERED.iter().filter_map(|name| name.strip_prefix("wasi:")).collect();
        assert_eq!(listed, offered);
    }

    #[test]
    fn strangers_are_named() {
        for name in [
            "wasi:keyvalue/store@0.2.0",
            "wasi:cli/exit@0.1.0",
            "wasi:cli/exit@0.2.0-rc-2023-11-10",
            "wasi:cli/exit",
            "acme:thing/api@0.2.0",
            "plain",
        ] {
            let refusal = check_text(&importing(name)).unwrap_err();
            assert_eq!(refusal, Refusal::NotOffered(name.into()));
            assert!(refusal.to_string().contains(&format!("`{name}`")));
        }
    }

    #[test]
    fn wasi03_is_told_apart_even_after_a_stranger() {
        let refusal = check_text(
            r#"(component (import "plain" (instance)) (import "wasi:cli/stdout@0.3.0" (instance)))"#,
        )
        .unwrap_err();
        assert_eq!(refusal, Refusal::Wasi03("wasi:cli/stdout@0.3.0".into()));
        assert!(refusal.to_string().contains("WASI 0.2"));
        let exported = r#"(component (instance $run) (export "wasi:cli/run@0.3.0" (instance $run)))"#;
        assert_eq!(check_text(exported), Err(Refusal::Wasi03("wasi:cli/run@0.3.0".into())));
    }

    #[test]
    fn libraries_are_no_programs_and_inner_imports_do_not_count() {
        let inner = r#"(component (component (import "acme:thing/api@0.2.0" (instance))) (core module
            (import "m" "f" (func))))"#;
        assert_eq!(check_text(inner), Err(Refusal::NoEntry));
    }

    #[test]
    fn a_handler_of_requests_needs_no_program() {
        let handler = PROGRAM.replace("wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.6");
        assert_eq!(check_text(&handler), Ok(()));
        let old = PROGRAM.replace("wasi:cli/run@0.2.0", "wasi:http/incoming-handler@0.2.0-rc-2023-12-05");
        assert_eq!(check_text(&old), Err(Refusal::NoEntry));
    }

    #[test]
    fn broken_bytes_are_an_error() {
        let whole = wat::parse_str(importing("wasi:cli/exit@0.2.0")).unwrap();
        assert_eq!(check(&whole), Ok(()));
        for cut in 0..whole.len() {
            // A cut before the last section, which only has names, leaves the component whole.
            assert!(check(&whole[..cut]).is_err() || cut > whole.len() - 40, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            // Any answer will do, but an answer.
            let _ = check(&broken);
        }
    }
}
