//! Goal: the vision is kept in sight: every promise of it is there, or said not to be.
//! Method: `seed.txt` is the vision as its author wrote it; its commands, manifests, code, links and colours are looked
//! for, and each row of `docs/vision.md` that says "works" must name a test that exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const SEED: &str = include_str!("seed.txt");
const ENGLISH: &str = include_str!("../../docs/vision.md");
const SPANISH: &str = include_str!("../../docs/vision.es.md");
/// The states of a row, in both languages.
const STATES: [(&str, &str); 4] =
    [("works", "funciona"), ("partly", "en parte"), ("planned", "previsto"), ("different", "distinto")];
/// Commands of others.
const FOREIGN: [&str; 1] = ["git"];

/// A row of the table.
struct Row<'t> {
    promise: &'t str,
    place: &'t str,
    state: &'t str,
    shown_by: &'t str,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let cells =
        text.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect::<Vec<_>>());
    let rows = cells.map(|cells| {
        let [promise, place, state, _, shown_by] = cells.as_slice() else {
            panic!("{} cells in {cells:?}", cells.len())
        };
        Row {
            promise: promise.trim_start_matches("| "),
            place,
            state,
            shown_by: shown_by.trim_end_matches(" |"),
        }
    });
    // The heads are rows too.
    rows.filter(|row| !["state", "estado"].contains(&row.state)).collect()
}

/// What stands between single backticks, outside of blocks.
fn spans(text: &str) -> Vec<&str> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The blocks of one language, without the indentation of the list that they stand in.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == format!("```{language}") {
            let indent = line.len() - line.trim_start().len();
            let body = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push(body.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect());
        }
    }
    blocks
}

fn qyvol(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qyvol"));
    for variable in
        ["QYVOL_CACHE_DIR", "QYVOL_CONFIG_DIR", "QYVOL_DATA_DIR", "QYVOL_STATE_DIR", "QYVOL_RUNTIME_DIR"]
    {
        command.env(variable, folder.join(variable));
    }
    let output = command.args(["--lang", "en"]).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn every_command_is_there_or_planned() {
    let help = qyvol(&["--help"], &std::env::temp_dir()).1;
    let known: BTreeSet<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(known.contains("run") && known.len() > 20, "{known:?}");
    let in_blocks = blocks(SEED, "bash").concat();
    let lines = spans(SEED).into_iter().chain(in_blocks.lines());
    let mut looked_at = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap_or_default();
        let commands: Vec<String> = match (program, words.next()) {
            (program, Some(word)) if ["qyvol", "qyv"].contains(&program) => word
                .split('/')
                .filter(|word| !known.contains(word))
                .map(|word| format!("{program} {word}"))
                .collect(),
            // Words of the phases, without their program.
            ("run" | "deploy" | "shell", None) => {
                (!known.contains(program)).then(|| format!("qyvol {program}")).into_iter().collect()
            }
            (program, None)
                if program.starts_with("qyv-") || program.starts_with("wai-") || program == "qyvold" =>
            {
                vec![program.to_owned()]
            }
            (program, Some(_)) if FOREIGN.contains(&program) => Vec::new(),
            _ => continue,
        };
        looked_at += 1;
        for command in commands {
            let said = format!("`{command}`");
            let row = rows(ENGLISH).into_iter().find(|row| row.promise.contains(&said));
            let row = row.unwrap_or_else(|| panic!("{said} neither exists nor has a row in docs/vision.md"));
            let exists = command == "qyvold" && known.contains("daemon");
            assert!(
                row.state == "planned" || exists,
                "{said} does not exist, and its row says `{}`",
                row.state
            );
        }
    }
    assert!(looked_at >= 10, "only {looked_at} commands were found in the vision");
}

#[test]
fn every_manifest_is_good_as_it_stands() {
    let blocks = blocks(SEED, "yaml");
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let mut text = block.clone();
        for (key, line) in [("name:", "name: fragment\n"), ("entrypoint:", "entrypoint: app.wasm\n")] {
            if !block.lines().any(|line| line.starts_with(key)) {
                text.insert_str(0, line);
            }
        }
        let entry = text.lines().find_map(|line| line.strip_prefix("entrypoint: ")).unwrap();
        let program =
            wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))").unwrap();
        for (name, bytes) in
            [(entry, program.as_slice()), ("models/resnet.onnx", b"onnx"), ("app.qyv", text.as_bytes())]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let (code, told) = qyvol(&["check", "app.qyv"], folder.path());
        assert_eq!(code, Some(0), "{text}\n{told}");
    }
}

#[test]
fn the_rust_lines_are_compiled_as_they_stand() {
    let blocks = blocks(SEED, "rust");
    let [block] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    // The documentation of the SDK begins with them; its examples are compiled by its tests.
    let sdk = std::fs::read_to_string(root().join("guest/rust/src/lib.rs")).unwrap();
    let example: String = sdk
        .lines()
        .skip_while(|line| *line != "//! ```no_run")
        .take_while(|line| *line != "//! ```")
        .collect::<Vec<_>>()
        .join("\n");
    for line in block.lines() {
        assert!(example.contains(&format!("//! {line}")), "`{line}` is not in the SDK's first example");
    }
}

#[test]
fn what_is_linked_is_there() {
    let mut count = 0;
    for after in SEED.split("](").skip(1) {
        let target = after.split(')').next().unwrap();
        assert!(root().join(target).exists(), "`{target}` is linked and does not exist");
        count += 1;
    }
    assert!(count >= 3, "{count} links");
}

#[test]
fn every_colour_is_in_the_palette() {
    let palette = std::fs::read_to_string(root().join("assets/palette.toml")).unwrap();
    let is_colour = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let colours: Vec<&str> = SEED.split('#').filter_map(|after| after.get(..6)).filter(is_colour).collect();
    assert_eq!(colours.len(), 5, "{colours:?}");
    for colour in colours {
        assert!(palette.contains(&format!("\"#{colour}\"")), "#{colour}");
    }
}

#[test]
fn what_works_names_a_test_that_exists() {
    let mut works = 0;
    for row in rows(ENGLISH) {
        assert!(STATES.iter().any(|(english, _)| *english == row.state), "`{}` is no state", row.state);
        let tests: Vec<&str> = row.shown_by.split('`').skip(1).step_by(2).collect();
        assert!(row.state != "works" || !tests.is_empty(), "`{}` works, and names no test", row.promise);
        works += usize::from(row.state == "works");
        for test in tests {
            let (file, name) =
                test.split_once("::").unwrap_or_else(|| panic!("`{test}` is not `file::test`"));
            let source =
                std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let begins =
                source.find(&format!("fn {name}()")).unwrap_or_else(|| panic!("{file} has no test `{name}`"));
            let above = source[..begins].lines().rev().take(4).collect::<String>();
            assert!(above.contains("#[test]"), "`{name}` of {file} is no test");
        }
        let places = row.place.split('`').skip(1).step_by(2).filter(|place| place.contains('/'));
        for place in places.filter(|place| *place != "kernel/") {
            assert!(root().join(place).exists(), "`{place}` of `{}` does not exist", row.promise);
        }
    }
    assert!(works >= 15, "{works} rows work");
}

#[test]
fn both_languages_say_the_same() {
    let (english, spanish) = (rows(ENGLISH), rows(SPANISH));
    assert_eq!(english.len(), spanish.len());
    for (english, spanish) in english.iter().zip(&spanish) {
        let states = STATES.iter().find(|(state, _)| *state == english.state).unwrap();
        assert_eq!(states.1, spanish.state, "{}", english.promise);
        assert_eq!(english.shown_by, spanish.shown_by, "{}", english.promise);
        let names = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(english.place), names(spanish.place), "{}", english.promise);
    }
    let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(headings(ENGLISH), headings(SPANISH));
}
