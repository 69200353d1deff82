//! The guests cover preview 1, each has a case, and each case ends as it must on every backend.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use conformance::{Backend, Guests, Tools, all_cases, preview1_functions, run_cases};

static GUESTS: LazyLock<Guests> = LazyLock::new(|| Guests::build().unwrap());

#[test]
fn the_guests_call_every_function_of_preview_1() {
    let (called, all) = (GUESTS.preview1_imports().unwrap(), preview1_functions());
    assert_eq!(all.len(), 46, "preview 1 is frozen");
    let missing: Vec<_> = all.difference(&called).collect();
    assert!(missing.is_empty(), "no guest in tests/guests/p1 calls {missing:?}");
    let unknown: Vec<_> = called.difference(&all).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no functions of preview 1");
}

#[test]
fn every_guest_has_a_case() {
    let with_case: BTreeSet<String> = all_cases().iter().map(|case| case.program.to_owned()).collect();
    assert_eq!(with_case, Guests::names().unwrap());
}

#[test]
fn every_case_ends_as_it_must() {
    let tools = Tools::find(None).unwrap();
    let usable: Vec<Backend> =
        Backend::ALL.into_iter().filter(|&backend| tools.can_run(backend).is_ok()).collect();
    let report = run_cases(&tools, &GUESTS, &all_cases(), &usable, None);
    assert!(report.total > 100, "only {} runs", report.total);
    assert!(
        report.failures.is_empty(),
        "{} failures:\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
}

#[test]
fn random_numbers_differ_from_start_to_start() {
    use conformance::{Job, Target};
    let tools = Tools::find(None).unwrap();
    for target in [Target::Preview1, Target::Preview2] {
        let job = Job { program: GUESTS.path("std_random", target), ..Job::default() };
        let outputs: BTreeSet<_> = (0..3).map(|_| tools.run(Backend::Diskfs, &job).unwrap().stdout).collect();
        assert_eq!(outputs.len(), 3);
    }
}
