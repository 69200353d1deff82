//! From the path of a key to its place in the text.

use super::errors::Fault;
use super::tree::{Node, Value};
use crate::problem::{Problem, Step};

/// `problem` at the place of its key, or of the closest key that was written.
pub(super) fn fault(root: &Node, problem: Problem) -> Fault {
    let mut node = root;
    let mut span = 0..0;
    let steps = &problem.path.0;
    for step in steps {
        let found = match (step, &node.value) {
            (Step::Key(name), _) => node.get(name).map(|entry| (&entry.value, entry.key_span.clone())),
            (Step::Index(index), Value::List(items)) => {
                items.get(*index).map(|item| (item, item.span.clone()))
            }
            // `fs` is one mount or a list of them: the first of a single one is itself.
            (Step::Index(0), Value::Map(_)) => Some((node, span.clone())),
            (Step::Index(_), _) => None,
        };
        let Some((next, place)) = found else { break };
        span = if matches!(next.value, Value::List(_) | Value::Map(_)) { place } else { next.span.clone() };
        node = next;
    }
    Fault::new(format!("`{}`: {}", problem.path, problem.message), problem.mend, span)
}
