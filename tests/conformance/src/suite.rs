//! The public preview-1 suite: `<language>/testsuite/wasm32-wasip1/<name>.wasm`, each with an optional `<name>.json`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::backend::{Backend, Job, Tools};
use crate::{pool, tree};

/// The programs of the suite at the time of writing. Fewer means an incomplete checkout.
const PROGRAMS: usize = 72;

/// What became of the suite on one backend.
#[derive(Clone, Debug)]
pub struct SuiteReport {
    /// The backend.
    pub backend: Backend,
    /// How many programs there were.
    pub total: usize,
    /// The programs that failed, with the reason.
    pub failures: Vec<String>,
}

impl SuiteReport {
    /// `memfs: 72 of 72`.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{}: {} of {}", self.backend.name(), self.total - self.failures.len(), self.total)
    }
}

/// Runs the programs of the suite in `folder` whose names contain `filter`.
///
/// # Errors
///
/// When `folder` is not a checkout with the prebuilt programs, or a configuration cannot be understood.
pub fn run_suite(
    tools: &Tools,
    folder: &Path,
    backend: Backend,
    filter: Option<&str>,
) -> Result<SuiteReport> {
    let mut programs = find(folder)?;
    ensure!(
        programs.len() >= PROGRAMS,
        "`{}` has {} prebuilt `wasm32-wasip1` programs, not {PROGRAMS}; check out branch `prod/testsuite-base` of \
         github.com/WebAssembly/wasi-testsuite there",
        folder.display(),
        programs.len()
    );
    programs.retain(|program| filter.is_none_or(|filter| program.to_string_lossy().contains(filter)));
    let results = pool::map(&programs, |program| run_one(tools, backend, program));
    let failures = programs.iter().zip(results).filter_map(|(program, result)| {
        let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        result.err().map(|error| format!("{name}: {error:#}"))
    });
    Ok(SuiteReport { backend, total: programs.len(), failures: failures.collect() })
}

fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let tests = folder.join("tests");
    let mut programs = Vec::new();
    for language in fs::read_dir(&tests).with_context(|| format!("read `{}`", tests.display()))? {
        let Ok(entries) = fs::read_dir(language?.path().join("testsuite/wasm32-wasip1")) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                programs.push(path);
            }
        }
    }
    programs.sort();
    Ok(programs)
}

/// What one program is given and must do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Specification {
    args: Vec<String>,
    env: Vec<(String, String)>,
    root: Option<String>,
    exit_code: i32,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl Specification {
    /// Reads both forms: the flat one, and the one with a list of `operations`.
    fn read(config: &Value) -> Result<Self> {
        let Some(operations) = config.get("operations") else {
            return Self::read_flat(config);
        };
        let mut specification = Self::default();
        for operation in operations.as_array().context("`operations` is no list")? {
            match operation["type"].as_str().context("an operation without `type`")? {
                "run" => {
                    only(operation, &["type", "args", "env", "root"])?;
                    let Self { args, env, root, .. } = Self::read_flat(operation)?;
                    specification = Self { args, env, root, ..specification };
                }
                "wait" => specification.exit_code = exit_code(operation)?,
                "read" => {
                    let payload = operation["payload"].as_str().unwrap_or_default().to_owned();
                    match operation["id"].as_str() {
                        None | Some("stdout") => specification.stdout = Some(payload),
                        Some("stderr") => specification.stderr = Some(payload),
                        Some(other) => anyhow::bail!("no stream is named `{other}`"),
                    }
                }
                other => anyhow::bail!("no preview-1 program needs the operation `{other}`"),
            }
        }
        Ok(specification)
    }

    fn read_flat(config: &Value) -> Result<Self> {
        only(config, &["type", "args", "env", "root", "exit_code", "stdout", "stderr"])?;
        let text = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
        let args = config["args"].as_array().into_iter().flatten();
        let env = config["env"].as_object().into_iter().flatten();
        Ok(Self {
            args: args.map(string).collect::<Result<_>>()?,
            env: env.map(|(name, value)| Ok((name.clone(), string(value)?))).collect::<Result<_>>()?,
            root: text("root"),
            exit_code: exit_code(config)?,
            stdout: text("stdout"),
            stderr: text("stderr"),
        })
    }
}

/// Refuses what this runner would silently leave out.
fn only(config: &Value, known: &[&str]) -> Result<()> {
    let keys: BTreeSet<_> = config.as_object().context("a configuration is no object")?.keys().collect();
    let unknown = keys.into_iter().find(|key| !known.contains(&key.as_str()));
    ensure!(unknown.is_none(), "the configuration has an unknown key: {unknown:?}");
    Ok(())
}

fn string(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("a value is no string")
}

fn exit_code(config: &Value) -> Result<i32> {
    let code = config.get("exit_code").map_or(Some(0), Value::as_i64).context("`exit_code` is no number")?;
    i32::try_from(code).context("`exit_code` is too large")
}

fn run_one(tools: &Tools, backend: Backend, program: &Path) -> Result<()> {
    let specification = match fs::read(program.with_extension("json")) {
        Ok(text) => Specification::read(&serde_json::from_slice(&text)?)?,
        Err(_) => Specification::default(),
    };
    let temp = tempfile::tempdir()?;
    let mut folders = Vec::new();
    if let Some(root) = &specification.root {
        let copy = temp.path().join("root");
        tree::copy(&program.with_file_name(root), &copy).with_context(|| format!("copy `{root}`"))?;
        folders.push((copy, "/".to_owned()));
    }
    let job = Job {
        program: program.to_path_buf(),
        args: specification.args,
        env: specification.env,
        folders,
        ..Job::default()
    };
    let output = tools.run(backend, &job)?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.code == specification.exit_code,
        "exit code {}, not {}: {}{}",
        output.code,
        specification.exit_code,
        stdout.trim(),
        stderr.trim()
    );
    for (name, is, must) in
        [("stdout", stdout, specification.stdout), ("stderr", stderr, specification.stderr)]
    {
        if let Some(must) = must {
            ensure!(is == must, "{name} is {is:?}, not {must:?}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Specification> {
        Specification::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn reads_both_forms_alike() {
        let flat = r#"{"args": ["a b"], "env": {"k": "v"}, "root": "dir", "exit_code": 33, "stdout": "out"}"#;
        let operations = r#"{"operations": [
            {"type": "run", "args": ["a b"], "env": {"k": "v"}, "root": "dir"},
            {"type": "read", "id": "stdout", "payload": "out"},
            {"type": "wait", "exit_code": 33}
        ]}"#;
        let expected = Specification {
            args: vec!["a b".into()],
            env: vec![("k".into(), "v".into())],
            root: Some("dir".into()),
            exit_code: 33,
            stdout: Some("out".into()),
            stderr: None,
        };
        assert_eq!(read(flat).unwrap(), expected);
        assert_eq!(read(operations).unwrap(), expected);
        assert_eq!(read("{}").unwrap(), Specification::default());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(read(r#"{"arguments": []}"#).is_err());
        assert!(read(r#"{"args": [1]}"#).is_err());
        assert!(read(r#"{"operations": [{"type": "connect"}]}"#).is_err());
        assert!(read(r#"{"exit_code": "0"}"#).is_err());
    }
}
