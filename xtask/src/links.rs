//! Links in the documentation: relative ones lead to files and headings that exist; no text names this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::shell::root;

/// Folders that hold no documentation of ours.
const SKIPPED: [&str; 3] = ["target", "node_modules", "corpus"];

/// Checks every `.md` file of the checkout.
pub(crate) fn check() -> Result<()> {
    let root = root();
    let mut files = Vec::new();
    find(&root, &mut files)?;
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("read `{}`", file.display()))?;
        let shown = file.strip_prefix(&root).unwrap_or(file).display();
        wrong
            .extend(machine_paths(&text, &root).map(|line| format!("{shown}:{line}: a path of one machine")));
        for (line, target) in links(&text) {
            count += 1;
            if let Err(reason) = resolves(file, &target) {
                wrong.push(format!("{shown}:{line}: `{target}` {reason}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{} links are broken:\n  {}", wrong.len(), wrong.join("\n  "));
    println!("{count} links in {} files lead somewhere", files.len());
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read `{}`", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The lines that name this checkout or somebody's home.
fn machine_paths(text: &str, root: &Path) -> impl Iterator<Item = usize> {
    let root = root.display().to_string();
    let names = move |line: &str| {
        line.contains(&root) || ["/home/", "/Users/"].iter().any(|home| line.contains(home))
    };
    text.lines().enumerate().filter(move |(_, line)| names(line)).map(|(index, _)| index + 1)
}

/// The targets of all links outside of code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else { break };
            // A title may follow the address.
            found.extend(target.split_whitespace().next().map(|target| (number, target.to_owned())));
            rest = after;
        }
        if let Some((label, target)) = line.trim_start().split_once("]: ")
            && label.starts_with('[')
        {
            found.extend(target.split_whitespace().next().map(|target| (number, target.to_owned())));
        }
    }
    found
}

/// The lines that are no code block, with code spans blanked out.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            return None;
        }
        let spans: Vec<&str> = line.split('`').collect();
        let outside = spans.iter().enumerate().map(|(n, span)| if n % 2 == 0 { span } else { "" });
        (!in_block).then(|| (index + 1, outside.collect::<Vec<_>>().join("`")))
    })
}

/// Whether a link in `file` leads to something; other sites are not asked.
fn resolves(file: &Path, target: &str) -> Result<(), String> {
    let target = target.trim_matches(['<', '>']);
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let aim = match path {
        "" => file.to_path_buf(),
        _ if path.starts_with('/') => return Err("is absolute".to_owned()),
        _ => file.with_file_name(path),
    };
    if !aim.exists() {
        return Err("does not exist".to_owned());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(&aim).map_err(|error| format!("cannot be read: {error}"))?;
    if anchors(&text).contains(anchor) { Ok(()) } else { Err("names no heading there".to_owned()) }
}

/// The anchors that GitHub gives to the headings of a text.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if in_block || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title.trim().to_lowercase().chars().filter_map(slug_character).collect();
        let repeated = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(repeated).find(|slug| !anchors.contains(slug));
        anchors.extend(free);
    }
    anchors
}

fn slug_character(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_links_outside_of_code_only() {
        let text =
            "[a](b.md \"title\") and [c](d.md#e)\n```\n[no](x.md)\n```\n`[no](y.md)` [f](g)\n[r]: h.md\n";
        let expected = [(1, "b.md"), (1, "d.md#e"), (5, "g"), (6, "h.md")];
        assert_eq!(links(text), expected.map(|(line, target)| (line, target.to_owned())));
    }

    #[test]
    fn names_headings_as_github_does() {
        let text = "# The `qyvol run` command\n## A, b & c\n## A, b & c\n```\n# no heading\n```\n#no heading\n### Año_nuevo\n";
        let expected = ["the-qyvol-run-command", "a-b--c", "a-b--c-1", "año_nuevo"];
        assert_eq!(anchors(text), expected.map(str::to_owned).into());
    }

    #[test]
    fn refuses_what_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.md");
        fs::write(&file, "# Here\n").unwrap();
        fs::write(folder.path().join("b.md"), "# There\n").unwrap();
        for good in ["b.md", "b.md#there", "#here", "https://example.org/x#y", "."] {
            assert_eq!(resolves(&file, good), Ok(()), "{good}");
        }
        for bad in ["c.md", "b.md#here", "#there", "/b.md", "../nowhere/b.md"] {
            assert!(resolves(&file, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_paths_of_a_machine() {
        let home = format!("/{}/somebody/x", "home");
        let text = format!("fine\n{home}\nin {}/target\n", Path::new("/checkout").display());
        assert_eq!(machine_paths(&text, Path::new("/checkout")).collect::<Vec<_>>(), [2, 3]);
    }
}
