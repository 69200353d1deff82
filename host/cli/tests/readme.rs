//! Goal: what the READMEs show is what happens, in the language that each is written in.
//! Method: the blocks marked `console` are typed, command by command, in a copy of the example, and compared.

mod sandbox;

use std::path::{Path, PathBuf};

use sandbox::Sandbox;

/// Words of English that no Spanish sentence has.
const ENGLISH: [&str; 24] = [
    "the", "of", "is", "not", "and", "with", "that", "for", "it", "was", "this", "from", "ask", "or", "in",
    "to", "app", "file", "folder", "denied", "error", "hint", "warning", "usage",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the blocks marked `console` in a text, with what follows each.
fn typed(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```console",
            Some(command) if inside => commands.push((command.to_owned(), String::new())),
            _ if inside => {
                let (_, output) = commands.last_mut().expect("a block begins with a command");
                output.push_str(line);
                output.push('\n');
            }
            _ => {}
        }
    }
    commands
}

/// Types all commands of a README in one copy of the example, and gives back everything that came out.
fn type_all(readme: &str, locale: &str) -> String {
    let sandbox = Sandbox::new();
    for entry in std::fs::read_dir(root().join("examples/hello")).unwrap() {
        let path = entry.unwrap().path();
        sandbox.write(path.file_name().unwrap().to_str().unwrap(), std::fs::read(&path).unwrap());
    }
    let text = std::fs::read_to_string(root().join(readme)).unwrap();
    let commands = typed(&text);
    assert!(commands.len() >= 4, "{readme} shows {} commands", commands.len());
    let mut all = String::new();
    for (command, expected) in commands {
        let qyvol = sandbox.command();
        let folder = Path::new(qyvol.get_program()).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(sandbox.path(""));
        for (name, value) in qyvol.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.env("PATH", path).env("LANG", locale).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output, expected, "{readme}: {command}");
        all.push_str(&output);
    }
    all
}

#[test]
fn the_readme_shows_what_happens() {
    let all = type_all("README.md", "en_US.UTF-8");
    assert!(all.contains("denied: ") && all.contains("Hello from Wairon"), "{all}");
}

#[test]
fn the_spanish_readme_leads_to_a_mended_denial_without_a_word_of_english() {
    let all = type_all("README.es.md", "es_ES.UTF-8");
    assert!(all.contains("denegado: ") && all.contains("Hola de parte de Wairon"), "{all}");
    // Between backticks are commands, keys and names; the greeting is the app's.
    let prose: String = all
        .lines()
        .filter(|line| !line.contains("Wairon"))
        .flat_map(|line| line.split('`').step_by(2).chain(["\n"]))
        .collect();
    for word in prose.split(|c: char| !c.is_alphabetic()) {
        // Spanish has this one too.
        let is_english = ENGLISH.contains(&word.to_lowercase().as_str()) && word != "error";
        assert!(!is_english, "`{word}` in:\n{prose}");
    }
}

/// What a page is made of, whatever its language: headings by their depth, blocks, and tables by their columns.
fn structure(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
            parts.push(line.to_owned());
        } else if inside {
            // Examples have the same lines; pictures and what comes out are translated.
            parts.extend(line.strip_prefix("$ ").map(str::to_owned));
        } else if line.starts_with('#') {
            parts.push(line.split(' ').next().unwrap().to_owned());
        } else if line.starts_with('|') {
            parts.push(format!("{} columns", line.matches(" |").count()));
        } else if line.starts_with("* ") {
            parts.push("item".to_owned());
        }
    }
    parts
}

#[test]
fn both_readmes_say_the_same() {
    let text = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    assert_eq!(structure(&text("README.md")), structure(&text("README.es.md")));
}
