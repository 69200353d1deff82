//! What the engine keeps for an instance of a program, besides what the store's limiter sees.
//!
//! Memories, tables and the GC heap are charged when they grow. The rest has a size that the program fixes: wasmtime
//! lays it out when it compiles (`VMContext` in wasmtime-environ's `vmoffsets.rs`: 16 bytes a global, 32 a function
//! that is referred to, and so on) and allocates it with each instance. Here it is read from the information that
//! wasmtime writes into native code for itself.

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, ReadRef};
use wasmtime_environ::component::{
    ComponentArtifacts, GlobalInitializer, InstantiateModule, VMComponentOffsets,
};
use wasmtime_environ::obj::ELF_WASMTIME_INFO;
use wasmtime_environ::{CompiledModuleInfo, HostPtr, Module, VMOffsets};

use crate::cache::Kind;

/// An instance without its `VMContext`: wasmtime's `Instance` and its entries in the store. About 300 bytes in wasmtime
/// 48, which does not tell.
const INSTANCE_BYTES: u64 = 1024;
/// An import while an instance is made: a `VMFunctionImport`, the largest kind. The copy that stays is in the
/// `VMContext`.
const IMPORT_BYTES: u64 = 32;
/// A passive element segment: a `PassiveElementSegment`, and what the allocator keeps for its elements.
const SEGMENT_BYTES: u64 = 48;
/// The fewest elements that a segment has room for.
const ELEMENTS_MIN: u64 = 4;
/// An element of a passive segment, evaluated: a `ValRaw`.
const ELEMENT_BYTES: u64 = 16;
/// An instance of a component within the program: an `InstanceState`, about 100 bytes.
const COMPONENT_BYTES: u64 = 128;
/// The type of a resource: a `ResourceType`.
const RESOURCE_BYTES: u64 = 32;

/// The bytes that one run of a program costs, all of its instances together; `None` when `code` is not native code of
/// wasmtime's.
pub(super) fn instance_bytes<'data>(code: impl ReadRef<'data>, kind: Kind) -> Option<u64> {
    let elf = ElfFile64::<Endianness, _>::parse(code).ok()?;
    let info = elf.section_by_name(ELF_WASMTIME_INFO)?.data().ok()?;
    Some(match kind {
        // Functions and types follow.
        Kind::Module => module_bytes(&postcard::take_from_bytes::<CompiledModuleInfo>(info).ok()?.0.module),
        Kind::Component => component_bytes(&postcard::from_bytes(info).ok()?),
    })
}

fn module_bytes(module: &Module) -> u64 {
    let context = u64::from(VMOffsets::new(HostPtr, module).size_of_vmctx());
    let imports = [
        module.num_imported_funcs,
        module.num_imported_tables,
        module.num_imported_memories,
        module.num_imported_globals,
        module.num_imported_tags,
    ];
    let imports = imports.into_iter().map(|count| count as u64 * IMPORT_BYTES).sum::<u64>();
    let segments = module.passive_elements.iter().fold(0_u64, |sum, (_, (_, elements))| {
        sum.saturating_add(elements.max(&ELEMENTS_MIN).saturating_mul(ELEMENT_BYTES))
            .saturating_add(SEGMENT_BYTES)
    });
    segments.saturating_add(INSTANCE_BYTES + context + imports)
}

fn component_bytes(artifacts: &ComponentArtifacts) -> u64 {
    let component = &artifacts.info.component;
    // Components within components are flattened: each core instance there will be has an initializer here.
    let instances = component.initializers.iter().filter_map(|initializer| match initializer {
        GlobalInitializer::InstantiateModule(InstantiateModule::Static(module, _), _) => {
            Some(module_bytes(&artifacts.static_modules[*module].module))
        }
        // Of an imported module; nobody offers one, so that linking fails. The others make no instance.
        _ => None,
    });
    instances.fold(
        INSTANCE_BYTES
            + u64::from(VMComponentOffsets::new(HostPtr, component).size_of_vmctx())
            + u64::from(component.num_runtime_component_instances) * COMPONENT_BYTES
            + u64::from(component.num_resources) * RESOURCE_BYTES,
        u64::saturating_add,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, compiler};

    fn native(text: &str) -> Vec<u8> {
        let engine = compiler(&Settings::default()).unwrap();
        let wasm = wat::parse_str(text).unwrap();
        if text.starts_with("(component") {
            engine.precompile_component(&wasm).unwrap()
        } else {
            engine.precompile_module(&wasm).unwrap()
        }
    }

    fn module(fields: &str) -> u64 {
        instance_bytes(&native(&format!("(module {fields})"))[..], Kind::Module).unwrap()
    }

    fn component(fields: &str) -> u64 {
        instance_bytes(&native(&format!("(component {fields})"))[..], Kind::Component).unwrap()
    }

    fn many(count: usize, field: impl Fn(usize) -> String) -> String {
        (0..count).map(field).collect()
    }

    #[test]
    fn what_a_module_makes_is_counted() {
        let empty = module("");
        assert!((INSTANCE_BYTES..2 * INSTANCE_BYTES).contains(&empty), "{empty}");
        let more = |fields: &str| module(fields) - empty;
        assert_eq!(more(&many(1000, |_| "(global (mut i64) (i64.const 1))".into())), 16_000);
        // Functions that nobody refers to cost nothing.
        assert_eq!(more(&many(100, |_| "(func)".into())), 0);
        assert_eq!(more(&many(100, |n| format!(r#"(func (export "{n}"))"#))), 3200);
        // The segment is filled by a function of wasmtime's, which is referred to as well.
        let elements = more(&format!("(func $f) (elem func {})", "$f ".repeat(1000)));
        assert_eq!(elements, 32 + 32 + SEGMENT_BYTES + 1000 * ELEMENT_BYTES);
        // An imported function counts as referred to.
        assert_eq!(more(&many(100, |_| r#"(import "a" "b" (func))"#.into())), 100 * (32 + 32 + IMPORT_BYTES));
        // A base, a length.
        let data = more(&many(100, |_| r#"(data "x")"#.into()));
        assert!((1200..1300).contains(&data), "{data}");
    }

    #[test]
    fn each_instance_of_a_component_is_counted() {
        let globals = many(1000, |_| "(global i64 (i64.const 1))".into());
        let one = module(&globals);
        let inner = format!(
            "(component $inner (core module $m {globals}) {})",
            many(10, |_| "(core instance (instantiate $m))".into())
        );
        let none = component(&inner);
        assert!(none < 2 * INSTANCE_BYTES, "what is not instantiated costs nothing: {none}");
        let some = component(&format!("{inner} {}", many(5, |_| "(instance (instantiate $inner))".into())));
        assert!((50 * one..51 * one).contains(&some), "{some} for 50 of {one}");
        // An instance of a component costs something though nothing is in it.
        let hollow = many(100, |_| "(instance (instantiate $c))".into());
        assert!(component(&format!("(component $c) {hollow}")) >= none + 100 * COMPONENT_BYTES);
        // A module that comes from outside is known where it is instantiated.
        let passed = component(&format!(
            r#"(core module $m {globals}) (component $c (import "m" (core module $n))
            (core instance (instantiate $n))) (instance (instantiate $c (with "m" (core module $m))))"#
        ));
        assert!((one..2 * one).contains(&passed), "{passed}");
    }

    #[test]
    fn rubbish_is_no_native_code() {
        let whole = native("(module)");
        assert!(instance_bytes(&whole[..], Kind::Module).is_some());
        for kind in [Kind::Module, Kind::Component] {
            for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"\x7fELF", &whole[..64], &[0xff; 4096]] {
                assert_eq!(instance_bytes(bytes, kind), None);
            }
        }
    }
}
