//! The manifest's YAML, and what it resolves to without files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qyv_spec::{App, Manifest};

fuzz_target!(|data: &[u8]| {
    match Manifest::from_yaml_bytes(data, "fuzz.qyv") {
        Ok(manifest) => {
            if let Ok(app) = manifest.resolve(Vec::new()) {
                assert_eq!(App::from_json(&app.to_json()), Ok(app));
            }
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
