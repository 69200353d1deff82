//! Tells the linker which functions the module of Julia imports.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        for name in ["put", "write_int", "write_float", "write_bool", "perf_now", "random_i64"] {
            println!("cargo::rustc-link-arg-bins=--export={name}");
        }
    }
}
