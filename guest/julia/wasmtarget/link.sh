#!/bin/sh
# Makes a WASI program of a module of WasmTarget.jl that exports `main`. Usage: link.sh APP.wasm PROGRAM.wasm
# Needs `wasm-merge` of Binaryen (or WASM_MERGE, its name) and Rust with the target `wasm32-wasip1`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
merge=${WASM_MERGE:-wasm-merge}
target=${CARGO_TARGET_DIR:-$here/target}
cargo build --quiet --locked --release --target wasm32-wasip1 --manifest-path "$here/Cargo.toml" --target-dir "$target"
# Not `--all-features`: Binaryen would then write its compact imports, which engines do not read yet.
exec "$merge" --enable-gc --enable-reference-types --enable-exception-handling --enable-multivalue \
    --enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext --enable-nontrapping-float-to-int \
    --enable-mutable-globals --enable-extended-const --enable-simd --enable-tail-call \
    "$target/wasm32-wasip1/release/wasmtarget.wasm" env \
    "$1" app "$here/run.wat" run "$here/io.wat" io "$here/js-string.wat" wasm:js-string \
    --rename-export-conflicts -o "$2"
