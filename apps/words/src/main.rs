//! Counts the words of all texts in a folder: `words FOLDER [--top N] [--save FILE]`.
//!
//! Code blocks of Markdown are left out, and so are the words in `/stopwords`, which travel with the app.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: words FOLDER [--top N] [--save FILE]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("words: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::read(std::env::args().skip(1))?;
    let left_out = stop_words(Path::new("/stopwords")).map_err(at("/stopwords"))?;
    let mut texts = Vec::new();
    find(&options.folder, &mut texts).map_err(at(&options.folder.to_string_lossy()))?;
    let mut summary = Summary::default();
    for path in &texts {
        let text = fs::read(path).map_err(at(&path.to_string_lossy()))?;
        summary.add(
            path.strip_prefix(&options.folder).unwrap_or(path),
            &String::from_utf8_lossy(&text),
            &left_out,
        );
    }
    let report = summary.report(options.top);
    match &options.save {
        Some(path) => {
            fs::write(path, &report).map_err(at(&path.to_string_lossy()))?;
            println!("{} texts, report in {}", texts.len(), path.display());
        }
        None => print!("{report}"),
    }
    Ok(())
}

/// An error's message, with the path it is about.
fn at(path: &str) -> impl FnOnce(io::Error) -> String {
    let path = path.to_owned();
    move |error| format!("{path}: {error}")
}

struct Options {
    folder: PathBuf,
    top: usize,
    save: Option<PathBuf>,
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { folder: args.next().ok_or(USAGE)?.into(), top: 10, save: None };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value; {USAGE}"))?;
            match name.as_str() {
                "--top" => options.top = value.parse().map_err(|_| format!("{value} is no number"))?,
                "--save" => options.save = Some(value.into()),
                _ => return Err(format!("{name} is not known; {USAGE}")),
            }
        }
        Ok(options)
    }
}

/// The words of all lists in a folder, one a line.
fn stop_words(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        words.extend(fs::read_to_string(entry?.path())?.lines().map(str::to_owned));
    }
    Ok(words)
}

/// All `.md` and `.txt` files in a folder and beneath it, sorted.
fn find(folder: &Path, texts: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, texts)?;
        } else if path.extension().is_some_and(|ending| ending == "md" || ending == "txt") {
            texts.push(path);
        }
    }
    texts.sort();
    Ok(())
}

#[derive(Default)]
struct Summary {
    /// Lines and words of each text.
    texts: Vec<(String, usize, usize)>,
    words: BTreeMap<String, usize>,
}

impl Summary {
    fn add(&mut self, path: &Path, text: &str, left_out: &BTreeSet<String>) {
        let mut in_code = false;
        let mut count = 0;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                for word in line
                    .split(|c: char| !c.is_alphanumeric())
                    .filter(|word| word.chars().any(char::is_alphabetic))
                {
                    count += 1;
                    let word = word.to_lowercase();
                    if word.chars().count() > 1 && !left_out.contains(&word) {
                        *self.words.entry(word).or_default() += 1;
                    }
                }
            }
        }
        self.texts.push((path.display().to_string(), text.lines().count(), count));
    }

    fn report(&self, top: usize) -> String {
        let mut report = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{:>7} {:>7}  text", "lines", "words");
        for (name, lines, words) in &self.texts {
            let _ = writeln!(report, "{lines:>7} {words:>7}  {name}");
        }
        let (lines, words) =
            self.texts.iter().fold((0, 0), |(l, w), (_, lines, words)| (l + lines, w + words));
        let _ = writeln!(report, "{lines:>7} {words:>7}  in all\n\n{:>7}  word", "times");
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|(word, times)| (std::cmp::Reverse(**times), *word));
        for (word, times) in words.into_iter().take(top) {
            let _ = writeln!(report, "{times:>7}  {word}");
        }
        report
    }
}
