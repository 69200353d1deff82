//! Who waits for whom: circles are found before anything waits in one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use qyv_spec::Name;

/// A circle that can be reached from one of `roots`, each name before the one it waits for, if there is one.
/// `depends_on` tells whom an app waits for; one that is not there waits for nobody. Each app is looked at once, without
/// recursion.
pub(crate) fn circle<'a>(
    roots: impl IntoIterator<Item = &'a Name>,
    depends_on: impl Fn(&Name) -> &'a [Name],
) -> Option<Vec<Name>> {
    // Whether all that an app waits for has been looked at.
    let mut done: BTreeMap<&Name, bool> = BTreeMap::new();
    for root in roots {
        if done.contains_key(root) {
            continue;
        }
        done.insert(root, false);
        // The way to the app that is looked at, each with those that it waits for and that are left to look at.
        let mut way = Vec::from([(root, depends_on(root).iter())]);
        while let Some((name, rest)) = way.last_mut() {
            let Some(next) = rest.next() else {
                done.insert(name, true);
                way.pop();
                continue;
            };
            match done.get(next) {
                Some(true) => {}
                Some(false) => {
                    let names = way.iter().map(|(name, _)| (*name).clone());
                    return Some(names.skip_while(|name| name != next).collect());
                }
                None => {
                    done.insert(next, false);
                    way.push((next, depends_on(next).iter()));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn found(edges: &[(&str, &[&str])]) -> Option<Vec<Name>> {
        let graph: BTreeMap<Name, Vec<Name>> =
            edges.iter().map(|(from, to)| (name(from), to.iter().map(|to| name(to)).collect())).collect();
        circle(graph.keys(), |name| graph.get(name).map_or(&[], Vec::as_slice))
    }

    #[test]
    fn circles_are_named_and_nothing_else_is_one() {
        assert_eq!(found(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d", "missing"]), ("d", &[])]), None);
        assert_eq!(found(&[("a", &["a"])]), Some(Vec::from([name("a")])));
        let circle = found(&[("a", &["b"]), ("b", &["c"]), ("c", &["d"]), ("d", &["b"])]);
        assert_eq!(circle, Some(["b", "c", "d"].map(name).to_vec()));
    }

    #[test]
    fn long_chains_need_no_stack() {
        let names: Vec<Name> = (0..100_000).map(|index| name(&format!("a{index}"))).collect();
        let index = |name: &Name| name.as_str()[1..].parse::<usize>().unwrap();
        let next = |name: &Name| names.get(index(name) + 1..).and_then(|rest| rest.get(..1)).unwrap_or(&[]);
        assert_eq!(circle(&names, next), None);
    }
}
