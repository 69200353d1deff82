//! Whether runs were what the contract says, and what differs when they were not.

use crate::case::{Case, MEMORY_BYTES, SLEEP};
use crate::check::Check;
use crate::expected;
use crate::languages::Language;
use crate::outcome::Outcome;

/// How much of a line is shown.
const SHOWN_CHARACTERS_MAX: usize = 120;
/// How many lines of standard error are shown with what differs.
const SHOWN_LINES_MAX: usize = 6;
/// The hexadecimal digits of a draw of `random`.
const DRAW_DIGITS: usize = 32;

/// What differs, a line each; nothing when the check is passed. `runs` are as many as [`Check::runs`] says.
#[must_use]
pub fn judge(runs: &[(Case, Outcome)], language: &Language) -> Vec<String> {
    let mut wrong = Vec::new();
    for (case, outcome) in runs {
        let before = wrong.len();
        judge_output(case, outcome, &mut wrong);
        judge_end(case, outcome, language, &mut wrong);
        if wrong.len() > before {
            wrong.extend(last_words(outcome));
        }
    }
    if let [(_, first), (case, second)] = runs
        && case.check == Check::Random
        && first.stdout == second.stdout
    {
        wrong.push(format!("two runs gave the same: {}", shown(&second.stdout)));
    }
    wrong
}

fn judge_output(case: &Case, outcome: &Outcome, wrong: &mut Vec<String>) {
    let stdout = expected::stdout(case);
    match case.check {
        Check::Streams => {
            // On a host that cannot lead both to one pipe, this says so by its absence.
            let both = outcome.both.as_deref().unwrap_or_default();
            wrong.extend(difference("both outputs", &expected::both(case), both));
        }
        Check::Random => {
            let found = String::from_utf8_lossy(&outcome.stdout);
            let drawn = found.strip_prefix(&stdout).and_then(|rest| rest.strip_suffix('\n'));
            let is_draw = |text: &str| {
                text.len() == DRAW_DIGITS
                    && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                    && text.bytes().any(|byte| byte != b'0')
            };
            if !drawn.is_some_and(is_draw) {
                wrong.push(format!("standard output is {}", shown(&outcome.stdout)));
            }
        }
        _ => wrong.extend(difference("standard output", &stdout, &outcome.stdout)),
    }
    if case.check == Check::Serve {
        let answers = outcome.answers.as_deref().unwrap_or_default();
        wrong.extend(difference("what the other side got", &expected::answers(case), answers));
    }
    if case.check == Check::Uncaught {
        let text = format!("uncaught {}", case.nonce);
        if !String::from_utf8_lossy(&outcome.stderr).contains(&text) {
            wrong.push(format!("`{text}` is not on standard error"));
        }
    }
}

fn judge_end(case: &Case, outcome: &Outcome, language: &Language, wrong: &mut Vec<String>) {
    let is_right = match (case.check, language.classes(case.check)) {
        (_, Some(classes)) => outcome.class().is_some_and(|class| classes.contains(&class)),
        (Check::Loop, _) => outcome.cause == "timeout",
        _ => outcome.cause == "exit" && outcome.code == Some(expected::exit_code(case)),
    };
    if !is_right {
        let wanted = match language.classes(case.check) {
            Some(classes) => classes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
            None if case.check == Check::Loop => "timeout".to_owned(),
            None => format!("exit {}", expected::exit_code(case)),
        };
        wrong.push(format!("the end is `{}` and should be `{wanted}`", outcome.end()));
    }
    if case.check == Check::Sleep && outcome.elapsed < SLEEP {
        wrong.push(format!("the run took {} ms, which is less than it slept", outcome.elapsed.as_millis()));
    }
    if case.check == Check::Memory
        && let Some(peak) = outcome.memory_peak.filter(|peak| *peak > MEMORY_BYTES)
    {
        wrong.push(format!("it had {peak} bytes of memory, more than `limits.memory`"));
    }
}

/// The first line that differs.
fn difference(what: &str, expected: &str, found: &[u8]) -> Option<String> {
    if expected.as_bytes() == found {
        return None;
    }
    let mut wanted = expected.as_bytes().split_inclusive(|byte| *byte == b'\n');
    let mut found = found.split_inclusive(|byte| *byte == b'\n');
    let mut number = 0;
    loop {
        number += 1;
        match (wanted.next(), found.next()) {
            (Some(wanted), Some(found)) if wanted == found => {}
            (wanted, found) => {
                let text = |line: Option<&[u8]>| line.map_or_else(|| "nothing more".to_owned(), shown);
                return Some(format!(
                    "line {number} of {what} is {} and should be {}",
                    text(found),
                    text(wanted)
                ));
            }
        }
    }
}

/// Bytes of an app as they may be shown: on one line, without control characters, cut.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", cut.escape_debug())
}

/// The end of standard error, for whoever looks for the cause.
fn last_words(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8_lossy(&outcome.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(SHOWN_LINES_MAX);
    lines[skipped..].iter().map(|line| format!("  standard error: {}", shown(line.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;

    fn language() -> Language {
        Language {
            memory: vec![Class::Limit],
            recursion: vec![Class::Trap, Class::GuestError],
            uncaught: vec![Class::GuestError],
            ..Language::default()
        }
    }

    /// A run as it should be.
    fn right(check: Check) -> (Case, Outcome) {
        let case = Case::new(check, 3);
        let mut outcome = Outcome {
            stdout: expected::stdout(&case).into(),
            cause: "exit".into(),
            code: Some(expected::exit_code(&case)),
            elapsed: SLEEP,
            answers: Some(expected::answers(&case).into()),
            ..Outcome::default()
        };
        match check {
            Check::Streams => outcome.both = Some(expected::both(&case).into()),
            Check::Random => outcome.stdout.extend(b"00112233445566778899aabbccddeeff\n"),
            Check::Memory => (outcome.cause, outcome.code) = ("memory".into(), None),
            Check::Loop => (outcome.cause, outcome.code) = ("timeout".into(), None),
            Check::Recursion => (outcome.cause, outcome.code) = ("trap".into(), None),
            Check::Uncaught => {
                outcome.code = Some(3);
                outcome.stderr = format!("panic: uncaught {}!\n", case.nonce).into();
            }
            _ => {}
        }
        (case, outcome)
    }

    fn wrong(check: Check, change: impl Fn(&mut Outcome)) -> Vec<String> {
        let (case, mut outcome) = right(check);
        change(&mut outcome);
        judge(&[(case, outcome)], &language())
    }

    #[test]
    fn what_is_right_passes_and_each_departure_fails() {
        for check in Check::ALL {
            assert_eq!(wrong(check, |_| {}), [""; 0], "{check}");
            assert!(!wrong(check, |outcome| outcome.cause = "deadline".into()).is_empty(), "{check}");
            let cut = |outcome: &mut Outcome| {
                outcome.stdout.pop();
                outcome.both.iter_mut().for_each(|both| both.truncate(both.len() - 1));
            };
            assert!(!wrong(check, cut).is_empty(), "{check}");
            let more = |outcome: &mut Outcome| {
                outcome.stdout.push(b'\n');
                outcome.both.iter_mut().for_each(|both| both.push(b'\n'));
            };
            assert!(!wrong(check, more).is_empty(), "{check}");
        }
    }

    #[test]
    fn what_is_looked_at_besides() {
        let fails = |check, change: fn(&mut Outcome)| {
            let wrong = wrong(check, change);
            assert_eq!(wrong.iter().filter(|line| !line.starts_with("  ")).count(), 1, "{check}: {wrong:?}");
        };
        fails(Check::Sleep, |outcome| outcome.elapsed /= 2);
        fails(Check::Memory, |outcome| outcome.memory_peak = Some(MEMORY_BYTES + 1));
        fails(Check::Memory, |outcome| (outcome.cause, outcome.code) = ("exit".into(), Some(0)));
        fails(Check::Uncaught, |outcome| outcome.stderr.clear());
        fails(Check::Uncaught, |outcome| outcome.code = Some(0));
        fails(Check::Serve, |outcome| outcome.answers = None);
        fails(Check::Random, |outcome| {
            outcome.stdout = b"random 64 distinct\nrandom 00000000000000000000000000000000\n".to_vec();
        });
        assert_eq!(
            judge(&[right(Check::Random), right(Check::Random)], &language()).len(),
            1,
            "the same twice"
        );
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        let text = difference("x", "a\nb\nc\n", b"a\nB\x1b\nc\n").unwrap();
        assert_eq!(text, "line 2 of x is `B\\u{1b}\\n` and should be `b\\n`");
        assert_eq!(difference("x", "a\n", b"").unwrap(), "line 1 of x is nothing more and should be `a\\n`");
        assert_eq!(difference("x", "a\n", b"a\n"), None);
    }
}
