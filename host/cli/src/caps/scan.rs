//! Reads the outline of a module or component: imports, exports, and signs of what the engine does not run.

use std::collections::BTreeSet;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, Chunk, CompositeInnerType, FunctionBody,
    KnownCustom, Parser, Payload, TypeRef,
};

/// The most distinct imports, and as many exports, that are kept; the others are only counted.
const NAMES_MAX: usize = 10_000;
/// The longest name that is kept, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// How deep modules and components may lie in each other.
const DEPTH_MAX: usize = 64;

/// The first byte of the instructions of threads (`memory.atomic.*` and their like).
const ATOMIC_PREFIX: u8 = 0xfe;
/// `try`, `catch`, `rethrow`, `delegate` and `catch_all` of the exceptions before the standard.
const LEGACY_EXCEPTIONS: [u8; 5] = [0x06, 0x07, 0x09, 0x18, 0x19];

/// Whether the bytes are a module or a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Module,
    Component,
}

/// What the bytes say of themselves. Names are cut to what may be shown: they are the program's own words.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) form: Form,
    /// Module and name; for a component, the interface and an empty name.
    pub(crate) imports: BTreeSet<(String, String)>,
    pub(crate) exports: BTreeSet<String>,
    /// Imports that were not kept.
    pub(crate) imports_left_out: u64,
    /// A memory that several threads share, or an instruction that only they need.
    pub(crate) threads: bool,
    /// Exceptions as they were before the standard.
    pub(crate) legacy_exceptions: bool,
    /// Structures and arrays that the engine collects.
    pub(crate) collected: bool,
    /// Something that came with WASI 0.3: tasks, streams, futures.
    pub(crate) asynchronous: bool,
    /// The language and tools that made it, by its own account.
    pub(crate) made_by: BTreeSet<String>,
}

/// Reads `wasm` once, from its start to its end.
///
/// # Errors
///
/// When the bytes are no module or component, or break off.
pub(crate) fn scan(wasm: &[u8]) -> Result<Scan, String> {
    let mut scan = Scan::default();
    let mut parser = Parser::new(0);
    // What is inside a component has imports of its own, which the component satisfies.
    let mut outer = Vec::new();
    let mut rest = wasm;
    loop {
        let chunk = parser.parse(rest, true).map_err(|error| error.to_string())?;
        let Chunk::Parsed { consumed, payload } = chunk else { return Ok(scan) };
        rest = rest.get(consumed..).unwrap_or_default();
        match payload {
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                if outer.len() >= DEPTH_MAX {
                    return Err("modules and components lie too deep in each other".into());
                }
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outer.pop() {
                Some(parent) => parser = parent,
                None => return Ok(scan),
            },
            payload => scan.take(payload, outer.is_empty()).map_err(|error| error.to_string())?,
        }
    }
}

impl Scan {
    /// The names that are imported from `module`.
    pub(crate) fn names_from<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a str> {
        self.imports
            .range((module.to_owned(), String::new())..)
            .take_while(move |(from, _)| from == module)
            .map(|(_, name)| name.as_str())
    }

    fn take(&mut self, payload: Payload<'_>, outermost: bool) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::Version { encoding, .. } if outermost => {
                self.form = match encoding {
                    wasmparser::Encoding::Module => Form::Module,
                    wasmparser::Encoding::Component => Form::Component,
                };
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if let TypeRef::Memory(memory) = import.ty {
                        self.threads |= memory.shared;
                    }
                    if outermost {
                        self.import(import.module, import.name);
                    }
                }
            }
            Payload::ExportSection(exports) if outermost => {
                for export in exports {
                    self.export(export?.name);
                }
            }
            Payload::ComponentImportSection(imports) if outermost => {
                for import in imports {
                    self.import(import?.name.name, "");
                }
            }
            Payload::ComponentExportSection(exports) if outermost => {
                for export in exports {
                    self.export(export?.name.name);
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    self.asynchronous |= is_asynchronous(&function?);
                }
            }
            Payload::TypeSection(groups) => {
                for group in groups {
                    self.collected |= group?.types().any(|ty| {
                        matches!(
                            ty.composite_type.inner,
                            CompositeInnerType::Struct(_) | CompositeInnerType::Array(_)
                        )
                    });
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.threads |= memory?.shared;
                }
            }
            Payload::CodeSectionEntry(body) => self.instructions(&body)?,
            Payload::CustomSection(section) => {
                // A custom section that cannot be read means nothing, by the standard.
                if let KnownCustom::Producers(fields) = section.as_known() {
                    for field in fields.into_iter().map_while(Result::ok) {
                        for value in field.values.into_iter().map_while(Result::ok) {
                            keep(
                                &mut self.made_by,
                                plain(format!("{} {}", value.name, value.version).trim()),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str) {
        if !keep(&mut self.imports, (plain(module), plain(name))) {
            self.imports_left_out += 1;
        }
    }

    fn export(&mut self, name: &str) {
        keep(&mut self.exports, plain(name));
    }

    /// Looks for instructions that the engine refuses. Their first bytes tell.
    fn instructions(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        if self.threads && self.legacy_exceptions {
            return Ok(());
        }
        let bytes = body.as_bytes();
        let start = body.range().start;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let first = bytes.get(operators.original_position() - start);
            operators.read()?;
            match first {
                Some(&ATOMIC_PREFIX) => self.threads = true,
                Some(first) if LEGACY_EXCEPTIONS.contains(first) => self.legacy_exceptions = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a built-in function of the component model came with WASI 0.3.
fn is_asynchronous(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.contains(&CanonicalOption::Async)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}

/// Keeps an item unless there are too many; says whether it is kept.
fn keep<T: Ord>(items: &mut BTreeSet<T>, item: T) -> bool {
    if items.len() >= NAMES_MAX {
        return items.contains(&item);
    }
    items.insert(item);
    true
}

/// A name that can be shown: without control characters, and not longer than a person reads.
fn plain(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
