//! The program around a module of WasmTarget.jl: `link.sh` joins both.
//!
//! Such a module has no entry of its own and asks a JavaScript host for six functions that print, for the time and for
//! random numbers. Here is what they do under WASI. Strings, which linear memory cannot hold, arrive byte by byte from
//! `io.wat`.

#[cfg(target_arch = "wasm32")]
mod wasi {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::time::Instant;

    #[link(wasm_import_module = "run")]
    unsafe extern "C" {
        /// `run.wat`: calls Julia's `main`; not 0 when that threw.
        #[link_name = "main"]
        safe fn julia() -> i32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn random_get(buffer: *mut u8, length: usize) -> u16;
    }

    static START: OnceLock<Instant> = OnceLock::new();

    pub(super) fn main() {
        START.get_or_init(Instant::now);
        if julia() != 0 {
            eprintln!("ERROR: an exception of Julia was not caught");
            std::process::exit(1);
        }
    }

    fn print(text: &[u8]) {
        if let Err(error) = std::io::stdout().write_all(text) {
            eprintln!("ERROR: cannot write to standard output: {error}");
            std::process::exit(1);
        }
    }

    /// Prints one byte; the upper ones of `byte` are ignored.
    #[unsafe(no_mangle)]
    extern "C" fn put(byte: u32) {
        print(&byte.to_le_bytes()[..1]);
    }

    #[unsafe(no_mangle)]
    extern "C" fn write_int(value: i64) {
        print(value.to_string().as_bytes());
    }

    #[unsafe(no_mangle)]
    extern "C" fn write_float(value: f64) {
        print(wasmtarget::float(value).as_bytes());
    }

    #[unsafe(no_mangle)]
    extern "C" fn write_bool(value: i32) {
        print(if value == 0 { b"false" } else { b"true" });
    }

    /// Milliseconds since the program began.
    #[unsafe(no_mangle)]
    extern "C" fn perf_now() -> f64 {
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }

    #[unsafe(no_mangle)]
    extern "C" fn random_i64() -> i64 {
        let mut bytes = [0; 8];
        // SAFETY: the buffer is as long as the call is told.
        let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        if errno != 0 {
            eprintln!("ERROR: no random numbers (errno {errno})");
            std::process::exit(1);
        }
        i64::from_le_bytes(bytes)
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {
    wasi::main();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("build it for `wasm32-wasip1`; it is nothing on its own");
}
