//! Header fields of `wasi:http`.

use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::{HostFields, HostOutgoingResponse};

use super::super::limits::FIELDS_BYTES_MAX;
use super::{ComponentLimits, Resource, lend, state, state_within};
use crate::component::ComponentState;

fn fields(state: &mut ComponentState) -> Resource<FieldMap> {
    HostFields::new(&mut state.http()).unwrap()
}

/// Adds a field with so many bytes, if that is allowed.
fn fill(state: &mut ComponentState, fields: &Resource<FieldMap>, bytes: usize) -> bool {
    let value = vec![b'x'; bytes];
    HostFields::append(&mut state.http(), lend(fields), "x".to_owned(), value).is_ok()
}

#[test]
fn so_many_sets_of_so_many_bytes_are_held() {
    let limits = ComponentLimits::default().for_a_request();
    let (mut state, most) = (state_within(limits).0, limits.field_sets);
    // Made at once and filled later: what was made beyond the limit stays empty.
    let mut sets: Vec<_> = (0..most + 2).map(|_| fields(&mut state)).collect();
    let filled = sets.iter().filter(|set| fill(&mut state, set, FIELDS_BYTES_MAX / 2)).count();
    assert_eq!(filled, most);
    assert!(!fill(&mut state, &sets[0], FIELDS_BYTES_MAX / 2), "one set has too many bytes");
    let copy = HostFields::clone(&mut state.http(), lend(&sets[0])).unwrap();
    assert!(!fill(&mut state, &copy, 1), "a copy is one more");
    let list = vec![("x".to_owned(), b"y".to_vec())];
    assert!(HostFields::from_list(&mut state.http(), list).is_err());

    // As a part of an answer it is still held; gone, it makes room.
    let answer = HostOutgoingResponse::new(&mut state.http(), sets.remove(0)).unwrap();
    for set in sets.drain(most - 1..).chain([copy]) {
        HostFields::drop(&mut state.http(), set).unwrap();
    }
    let more = fields(&mut state);
    assert!(!fill(&mut state, &more, 1));
    HostFields::drop(&mut state.http(), more).unwrap();
    HostOutgoingResponse::drop(&mut state.http(), answer).unwrap();
    let more = fields(&mut state);
    assert!(fill(&mut state, &more, 1));
}

#[test]
fn a_set_has_so_many_fields() {
    let (mut state, _) = state();
    let set = fields(&mut state);
    let count = (0..10_000).take_while(|_| fill(&mut state, &set, 0)).count();
    assert!((500..3000).contains(&count), "{count}");
}

#[test]
fn a_small_app_has_few_sets() {
    let sets = |bytes| ComponentLimits::of_process(256, bytes).field_sets;
    assert_eq!([sets(1 << 20), sets(64 << 20), sets(u64::MAX)], [4, 64, 256]);
}
