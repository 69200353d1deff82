//! Tells the crate which target it is built for: native code in the cache is bound to it.

fn main() {
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=QYVOL_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
