//! The one place that configures wasmtime.
//!
//! The process that compiles (`compile::child`) and the one that runs build their configuration here, so that they
//! cannot differ: wasmtime refuses native code that was compiled under another one.

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::Result;

/// The version of wasmtime; part of every cache key.
pub const ENGINE_VERSION: &str = "48.0.8";

/// How much of the stack a guest may use when its manifest does not say (512 KiB, wasmtime's own default).
pub const DEFAULT_STACK_BYTES: usize = 512 << 10;

/// What may differ between two engines of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Compile in the points at which a running guest notices a timeout, Ctrl-C or the end of its turn. Without
    /// them, loops are up to 10 % faster and a guest can be stopped only together with its process. Default: on.
    pub interruption: bool,
    /// Keep what a core dump needs when a guest traps. Does not change the compiled code. Default: off.
    pub coredump: bool,
    /// Keep the lines of the sources, for traps that name them. Does not change the compiled code. Default: on.
    pub source_lines: bool,
    /// The most bytes of native stack that a guest may use. Does not change the compiled code.
    pub stack_bytes: usize,
    /// Take instances from a pool that is made in advance: for hosts that start many. Default: off.
    pub pool: Option<Pool>,
}

/// The size of the instance pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many instances can live at once.
    pub instances: u32,
    /// The most bytes that one linear memory may have.
    pub memory_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interruption: true,
            coredump: false,
            source_lines: true,
            stack_bytes: DEFAULT_STACK_BYTES,
            pool: None,
        }
    }
}

impl Settings {
    /// The part of the settings that changes the compiled code, for the cache key and the compiler's command line.
    #[must_use]
    pub fn code_flavour(&self) -> &'static str {
        if self.interruption { "epoch" } else { "plain" }
    }

    /// The settings of a compiler that makes code of this flavour.
    #[must_use]
    pub fn from_code_flavour(flavour: &str) -> Option<Self> {
        [true, false]
            .into_iter()
            .map(|interruption| Self { interruption, ..Self::default() })
            .find(|settings| settings.code_flavour() == flavour)
    }
}

/// An engine that runs guests. It holds no compiler: native code comes from the cache alone.
pub(crate) fn runner(settings: &Settings) -> Result<wasmtime::Engine> {
    let mut config = shared(settings);
    config.enable_compiler(false);
    config.max_wasm_stack(settings.stack_bytes);
    // wasmtime wants the stacks of asynchronous guests to be larger than what wasm may use of them.
    config.async_stack_size(settings.stack_bytes + (1 << 20));
    config.coredump_on_trap(settings.coredump);
    if let Some(pool) = settings.pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(pool)));
    }
    Ok(wasmtime::Engine::new(&config)?)
}

/// An engine that compiles guests.
pub(crate) fn compiler(settings: &Settings) -> Result<wasmtime::Engine> {
    let mut config = shared(settings);
    config.cranelift_opt_level(OptLevel::Speed);
    Ok(wasmtime::Engine::new(&config)?)
}

/// What both have in common: everything that changes the compiled code.
fn shared(settings: &Settings) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(settings.interruption);
    // The same result on every host (DESIGN "Numbers").
    config.relaxed_simd_deterministic(true);
    config.wasm_tail_call(true);
    config.wasm_multi_memory(true);
    config.wasm_memory64(true);
    config.wasm_simd(true);
    config.wasm_relaxed_simd(true);
    config.wasm_function_references(true);
    config.wasm_gc(true);
    config.wasm_exceptions(true);
    config.wasm_component_model(true);
    // Threads stay off: wasmtime's limits do not cover shared memories, and nothing links them.
    config.wasm_features(wasmtime::WasmFeatures::THREADS, false);
    // Tasks inside one guest come with WASI 0.3, which is not linked.
    config.concurrency_support(false);
    // A trap names source lines when the module brings them.
    let lines = settings.source_lines;
    config.wasm_backtrace_details(if lines {
        WasmBacktraceDetails::Enable
    } else {
        WasmBacktraceDetails::Disable
    });
    config.memory_init_cow(true);
    config
}

/// Core instances and tables of one component, on average: its program, and what the tools put around it.
const PARTS_OF_A_COMPONENT: u32 = 4;

fn pooling(pool: Pool) -> PoolingAllocationConfig {
    let mut config = PoolingAllocationConfig::new();
    config
        .total_core_instances(pool.instances.saturating_mul(PARTS_OF_A_COMPONENT))
        .total_component_instances(pool.instances)
        .total_memories(pool.instances)
        .total_tables(pool.instances.saturating_mul(PARTS_OF_A_COMPONENT))
        .total_stacks(pool.instances)
        .max_memory_size(pool.memory_bytes)
        // Resetting up to 2 MiB by memset costs less than giving the pages back and faulting them in again.
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(512 << 10);
    config
}
