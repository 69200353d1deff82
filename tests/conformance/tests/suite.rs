//! The public preview-1 suite, from the checkout that `WASI_TESTSUITE` names. The suite is not part of this
//! repository: without the variable there is nothing to run, and a line says so.

use std::path::PathBuf;

use conformance::{Backend, Tools, run_suite};

#[test]
fn the_public_suite_passes_on_every_backend() {
    let Some(folder) = std::env::var_os("WASI_TESTSUITE").map(PathBuf::from) else {
        println!("`WASI_TESTSUITE` names no checkout of github.com/WebAssembly/wasi-testsuite; left out");
        return;
    };
    let tools = Tools::find(None).unwrap();
    for backend in Backend::ALL.into_iter().filter(|&backend| tools.can_run(backend).is_ok()) {
        let report = run_suite(&tools, &folder, backend, None).unwrap();
        println!("{}", report.summary());
        assert!(report.failures.is_empty(), "{}\n{}", report.summary(), report.failures.join("\n"));
    }
}
