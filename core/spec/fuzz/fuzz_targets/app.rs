//! The App's JSON: what is accepted is in its one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qyv_spec::App;

fuzz_target!(|data: &[u8]| {
    if let Ok(app) = App::from_json(data) {
        assert_eq!(app.to_json(), data);
    }
});
