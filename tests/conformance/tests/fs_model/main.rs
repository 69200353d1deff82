//! Every file system against a model: random calls, each result compared, and the tree that is left.
//!
//! `QYV_FS_CASES` sets how many sequences are tried, `PROPTEST_RNG_SEED` which: the same ones where nothing is said, so
//! that a change is judged by what it changed. A failure prints the shortest sequence that still fails.

mod backend;
mod model;
mod ops;
mod outcome;
mod reference;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use qyv_vfs::{Budget, Error};

use backend::{Backend, Budgets};
use ops::{Op, population, sequence};
use outcome::{Described, Outcome, comparable, comparable_tree};
use reference::Reference;

type Checked<T = ()> = Result<T, TestCaseError>;

fn runner() -> TestRunner {
    let cases = std::env::var("QYV_FS_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    let seed = match Config::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        chosen @ RngSeed::Fixed(_) => chosen,
    };
    TestRunner::new(Config {
        cases,
        rng_seed: seed,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    })
}

fn fail<T>(message: String) -> Checked<T> {
    Err(TestCaseError::fail(message))
}

#[test]
fn every_file_system_does_as_the_model() {
    let tested = runner().run(&(population(), sequence()), |(population, sequence)| {
        let folders = [(); 4].map(|()| tempfile::tempdir().expect("a folder"));
        let [disk, slow, portable, lower] = folders.each_ref().map(tempfile::TempDir::path);
        let mut model = Reference::new();
        let mut backends = vec![
            Backend::memory(&Budgets::unlimited()),
            Backend::disk("disk", disk),
            Backend::disk_by_components(slow),
            Backend::portable_disk(portable),
        ];

        let mut below = Backend::disk("lower", lower);
        for op in &population {
            let before = model.clone();
            for backend in backends.iter_mut().chain([&mut below]) {
                model = before.clone();
                step(&mut model, backend, op)?;
            }
        }
        model.put_below();
        let untouched = all_but_reads(&mut below);
        below.close_all();
        backends.iter_mut().for_each(Backend::close_all);
        model.close_all();
        backends.push(Backend::overlay(lower, &Budgets::unlimited()));

        for op in &sequence {
            let before = model.clone();
            for backend in &mut backends {
                model = before.clone();
                step(&mut model, backend, op)?;
            }
        }
        for backend in &mut backends {
            same_tree(&model, backend)?;
        }
        if all_but_reads(&mut below) != untouched {
            return fail("the overlay changed what lies below".into());
        }
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
}

/// Bytes, inodes and memory: tight in all, and in one at a time, so that each of them is what refuses.
const QUOTAS: [[u64; 3]; 4] =
    [[30_000, 6, 30_000], [2_000, 1_000, 1 << 20], [1 << 20, 2, 1 << 20], [1 << 20, 1_000, 15_000]];

#[test]
fn a_quota_refuses_without_a_trace() {
    let refused = [(); 3].map(|()| AtomicU64::new(0));
    let tested = runner().run(&(population(), sequence()), |(population, sequence)| {
        for (overlay, quota) in
            [false, true].into_iter().flat_map(|overlay| QUOTAS.map(|quota| (overlay, quota)))
        {
            let lower = tempfile::tempdir().expect("a folder");
            let [bytes, inodes, memory] = quota.map(Budget::new);
            let budgets = Budgets { bytes, inodes, memory };
            let mut model = Reference::new();
            let mut backend = if overlay {
                let mut below = Backend::disk("lower", lower.path());
                for op in &population {
                    step(&mut model, &mut below, op)?;
                }
                model.put_below();
                model.close_all();
                Backend::overlay(lower.path(), &budgets)
            } else {
                Backend::memory(&budgets)
            };
            for op in &sequence {
                step(&mut model, &mut backend, op)?;
            }
            for budget in [&budgets.bytes, &budgets.inodes, &budgets.memory] {
                if budget.peak() > budget.limit() {
                    return fail(format!("{} of {} units were taken", budget.peak(), budget.limit()));
                }
            }
            for (sum, budget) in refused.iter().zip([&budgets.bytes, &budgets.inodes, &budgets.memory]) {
                sum.fetch_add(budget.refused(), Ordering::Relaxed);
            }
            // What the memory left over allows: a lookup in an overlay takes some while it lasts.
            match same_tree(&model, &mut backend) {
                Err(error) if budgets.memory.available() > 10_000 => return Err(error),
                _ => {}
            }
            drop(backend);
            let left = [&budgets.bytes, &budgets.inodes, &budgets.memory].map(Budget::used);
            if left != [0; 3] {
                return fail(format!("{left:?} units were never given back"));
            }
        }
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
    // Otherwise nothing was tested.
    let refused = refused.map(AtomicU64::into_inner);
    assert!(refused.iter().all(|&times| times > 0), "bytes, inodes, memory were refused {refused:?} times");
}

/// The whole tree, inode numbers, times and all, but when it was last read.
fn all_but_reads(backend: &mut Backend) -> BTreeMap<String, Described> {
    let mut tree = backend.dump().expect("reading the tree");
    tree.values_mut().for_each(|described| described.attributes.times.accessed = 0);
    tree
}

/// Makes one call on both and compares. A refusal by a quota must leave everything as it was, so the model does
/// nothing then, and a short write is as short in the model.
fn step(model: &mut Reference, backend: &mut Backend, op: &Op) -> Checked {
    if model.leaves_out(op) {
        return Ok(());
    }
    let actual = backend.apply(op);
    if let Err(Error::NOSPC | Error::NOMEM) = actual {
        return Ok(());
    }
    let stays = model.listed(op);
    let expected = model.apply(op, &actual, backend.overlay);
    compare(backend, op, expected, actual, &stays)
}

fn compare(
    backend: &mut Backend,
    op: &Op,
    expected: Result<Outcome, Error>,
    actual: Result<Outcome, Error>,
    stays: &[String],
) -> Checked {
    let (expected, actual) = match (expected, actual) {
        (Ok(Outcome::Attributes(expected)), Ok(Outcome::Attributes(actual))) => {
            backend.identify(expected.inode, &actual).map_err(TestCaseError::fail)?;
            let modified = expected.times.modified;
            let compared = [expected, actual].map(|seen| Ok(Outcome::Attributes(comparable(seen, modified))));
            compared.into()
        }
        (
            Ok(Outcome::Names { names: expected, between }),
            Ok(Outcome::Names { names: actual, between: did }),
        ) => {
            if let (Some(expected), Some(actual), Op::List { between: Some(op), .. }) = (between, did, op) {
                compare(backend, op, *expected, *actual, &[])?;
            }
            // Only what was there before and after the call in between must be seen, and exactly once.
            let kept = |names: Vec<_>| {
                let mut names: Vec<_> = names.into_iter().filter(|(name, _)| stays.contains(name)).collect();
                names.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
                Ok(Outcome::Names { names, between: None })
            };
            (kept(expected), kept(actual))
        }
        other => other,
    };
    if expected == actual {
        return Ok(());
    }
    fail(format!("{} gives {actual:?} instead of {expected:?} for {op:?}", backend.name))
}

fn same_tree(model: &Reference, backend: &mut Backend) -> Checked {
    let expected = model.dump();
    let actual = match backend.dump() {
        Ok(tree) => tree,
        Err(error) => return fail(format!("{}: the tree cannot be read: {error}", backend.name)),
    };
    let (expected, actual) = (comparable_tree(&expected, &expected), comparable_tree(&actual, &expected));
    if expected == actual {
        return Ok(());
    }
    let differs = |path: &&String| expected.get(*path) != actual.get(*path);
    let path = expected.keys().chain(actual.keys()).find(differs).cloned().unwrap_or_default();
    let short = |tree: &BTreeMap<String, _>| {
        tree.get(&path).map(|(described, first): &(Described, String)| {
            let sum: u64 = described.bytes.iter().map(|&byte| u64::from(byte)).sum();
            format!(
                "{:?} {:?}, sum of bytes {sum}, same file as `{first}`",
                described.attributes, described.target
            )
        })
    };
    fail(format!("{}: `{path}` is {:?} instead of {:?}", backend.name, short(&actual), short(&expected)))
}
