//! `cargo xtask polyglot-report`: what each language costs and passes, as the table of `docs/languages/index.md`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::bench::process::{Measured, measure};
use crate::bench::{find_wasmtime, release_build};
use crate::shell::{cargo, output, root, run as start, shown, target_folder, text};

/// Where the table is written, and what it stands between.
const PAGE: &str = "docs/languages/index.md";
const BEGIN: &str = "<!-- polyglot-report: begin; written by `cargo xtask polyglot-report` -->\n";
const END: &str = "<!-- polyglot-report: end -->";
const HEAD: &str = "\
| language | tools | hello | build | cold start | cached start | peak memory | contract | bundle | wasmtime: cached start, contract | Node: start, contract |
|---|---|---|---|---|---|---|---|---|---|---|
";
/// What stands where something is not known.
const NOTHING: &str = "-";
/// The exit code of `polyglot` when a language was left out.
const LEFT_OUT: i32 = 3;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure this `qyvol` rather than a release build of this checkout
    #[arg(long, value_name = "FILE")]
    qyvol: Option<PathBuf>,
    /// The wasmtime to compare with; by default the one that `WASMTIME` names, or the one in `PATH`
    #[arg(long, value_name = "FILE")]
    wasmtime: Option<PathBuf>,
    /// Only this language; may be repeated. The table is printed then, and not written
    #[arg(long = "language", value_name = "NAME")]
    languages: Vec<String>,
    /// Cached starts, of which the median counts
    #[arg(long, default_value_t = 15)]
    runs: usize,
}

/// Measures everything and writes the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.runs > 0, "a median needs one run");
    let wasmtime = options.wasmtime.clone().or_else(|| env::var_os("WASMTIME").map(PathBuf::from));
    let report = Report {
        qyvol: release_build(options.qyvol.as_deref())?,
        wasmtime: find_wasmtime(wasmtime.as_deref())?,
        runs: options.runs,
        scratch: tempfile::tempdir()?,
    };
    start(&mut cargo("build --locked --quiet -p polyglot"))?;
    let load = load();
    let checked = report.check(&options.languages)?;
    let tools = report.tools();
    let mut table = HEAD.to_owned();
    for (language, hosts) in &checked {
        println!("measuring {language}");
        table += &report.row(language, hosts, tools.get(language).map_or(NOTHING, String::as_str));
    }
    let table = format!("{table}\n{}", report.conditions(&load));
    if options.languages.is_empty() { write(&table) } else { print_only(&table) }
}

fn print_only(table: &str) -> Result<()> {
    print!("{table}");
    Ok(())
}

/// Puts the table in its place.
fn write(table: &str) -> Result<()> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("read `{PAGE}`"))?;
    fs::write(&path, replaced(&page, table)?).with_context(|| format!("write `{PAGE}`"))?;
    println!("written to {PAGE}");
    Ok(())
}

fn replaced(page: &str, table: &str) -> Result<String> {
    let (before, rest) =
        page.split_once(BEGIN).with_context(|| format!("`{PAGE}` has no place for the table"))?;
    let (_, after) =
        rest.split_once(END).with_context(|| format!("the place of the table in `{PAGE}` has no end"))?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// What a host made of the checks: a line of `polyglot run --json`, by the host's name.
type Hosts = BTreeMap<String, Value>;

struct Report {
    qyvol: PathBuf,
    wasmtime: Option<PathBuf>,
    runs: usize,
    scratch: tempfile::TempDir,
}

impl Report {
    /// Runs the checks of all languages; what fails is shown in the table, and does not end the report.
    fn check(&self, languages: &[String]) -> Result<BTreeMap<String, Hosts>> {
        let mut command = Command::new(target_folder().join("debug/polyglot"));
        command.args(["run", "--json", "--anchors", "--bundle-all"]).env("QYVOL_BIN", &self.qyvol);
        if let Some(wasmtime) = &self.wasmtime {
            command.env("WASMTIME", wasmtime);
        }
        for language in languages {
            command.args(["--language", language]);
        }
        println!("$ {}", shown(&command));
        let ran = output(&mut command)?;
        ensure!(
            matches!(ran.status.code(), Some(0 | 1 | LEFT_OUT)),
            "`polyglot` failed: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let mut checked = BTreeMap::<String, Hosts>::new();
        for line in String::from_utf8_lossy(&ran.stdout).lines() {
            // What is no JSON is what was left out, and why.
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                println!("{line}");
                continue;
            };
            let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            checked.entry(word("language")).or_default().insert(word("host"), line.clone());
        }
        ensure!(!checked.is_empty(), "`polyglot` checked nothing: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(checked)
    }

    /// The tools of each language with their versions, as `qyvol toolchain list` has them.
    fn tools(&self) -> BTreeMap<String, String> {
        let listed = text(self.command().args(["toolchain", "list", "--json"])).unwrap_or_default();
        let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
        let mut tools = BTreeMap::new();
        for language in listed["languages"].as_array().into_iter().flatten() {
            let parts = language["parts"].as_array().into_iter().flatten();
            let versions = parts
                .filter_map(|part| Some(format!("{} {}", part["part"].as_str()?, part["version"].as_str()?)));
            let name = language["language"].as_str().unwrap_or_default().to_owned();
            tools.insert(name, versions.collect::<Vec<_>>().join(", "));
        }
        tools
    }

    /// A line of the table.
    fn row(&self, language: &str, hosts: &Hosts, tools: &str) -> String {
        let title = hosts.values().next().and_then(|host| host["title"].as_str()).unwrap_or(language);
        let hello = self.hello(language).unwrap_or_else(|error| {
            println!("{language}: no hello to measure: {error:#}");
            Hello::default()
        });
        let passed = |host: &str| hosts.get(host).map_or_else(|| NOTHING.to_owned(), passed);
        format!(
            "| {title} | {tools} | {} | {} | {} | {} | {} | {} | {} | {}, {} | {}, {} |\n",
            shown_in(hello.kib, "KiB"),
            shown_in(hello.build_s, "s"),
            shown_in(hello.cold_ms, "ms"),
            shown_in(hello.cached_ms, "ms"),
            shown_in(hello.peak_mib, "MiB"),
            passed("qyvol"),
            passed("bundle"),
            shown_in(hello.wasmtime_ms, "ms"),
            passed("wasmtime"),
            shown_in(hello.node_ms, "ms"),
            passed("node"),
        )
    }

    /// Makes, builds and runs the app that `qyvol new` makes.
    fn hello(&self, language: &str) -> Result<Hello> {
        let folder = self.scratch.path().join(language);
        text(self.command().args(["new", "--lang", language]).arg(&folder))?;
        let begin = Instant::now();
        text(self.command().arg("build").arg(&folder).arg("--release"))?;
        let build_s = Some(begin.elapsed().as_secs_f64());
        let module = module_in(&folder)?;
        let mut hello =
            Hello { build_s, kib: Some(fs::metadata(&module)?.len() as f64 / 1024.0), ..Hello::default() };
        let ours = || {
            let mut command = self.command();
            command.arg("run").arg(&folder).env("QYVOL_CACHE_DIR", self.scratch.path().join("cache"));
            command
        };
        hello.cold_ms = Some(milliseconds(&measure(&mut ours())?));
        let runs = (0..self.runs).map(|_| measure(&mut ours())).collect::<Result<Vec<_>>>()?;
        hello.cached_ms = median(runs.iter().map(milliseconds));
        hello.peak_mib = median(runs.iter().map(|run| run.memory_peak_kib as f64 / 1024.0));
        // Those of others are not there where they do not run the program.
        hello.wasmtime_ms = self.wasmtime.as_deref().and_then(|wasmtime| {
            self.median_of(|| {
                let mut command = Command::new(wasmtime);
                command
                    .args(["run", "-C", "cache=y", "-W", "gc=y,exceptions=y,function-references=y"])
                    .arg(&module);
                command.env("XDG_CACHE_HOME", self.scratch.path());
                command
            })
        });
        hello.node_ms = self.median_of(|| {
            let mut command = Command::new("node");
            command.arg("--no-warnings").arg(root().join("tests/polyglot/node.mjs")).arg(&module).arg("[]");
            command
        });
        Ok(hello)
    }

    /// The median time of a command, in milliseconds, after one run that is not measured.
    fn median_of(&self, command: impl Fn() -> Command) -> Option<f64> {
        let run = || measure(command().stderr(std::process::Stdio::null())).ok();
        run()?;
        let runs: Option<Vec<_>> = (0..self.runs).map(|_| run()).collect();
        median(runs?.iter().map(milliseconds))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.qyvol);
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// What the numbers were measured on, under the table.
    fn conditions(&self, load: &str) -> String {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let node = text(Command::new("node").arg("--version")).unwrap_or_default();
        let wasmtime = self.wasmtime.as_ref().and_then(|path| text(Command::new(path).arg("--version")).ok());
        format!(
            "Measured on {processors} processors, with a load of {load} from other work when it began; `hello` is what `qyvol new` makes, \
             built by `qyvol build --release`. Times are from before a process starts to after its end: cold with an empty cache, cached \
             the median of {} runs; peak memory is what the process holds. `{}`, Node {}.\n",
            self.runs,
            wasmtime.as_deref().map_or("no wasmtime", str::trim),
            node.trim(),
        )
    }
}

/// What was measured of one language's smallest app.
#[derive(Default)]
struct Hello {
    kib: Option<f64>,
    build_s: Option<f64>,
    cold_ms: Option<f64>,
    cached_ms: Option<f64>,
    peak_mib: Option<f64>,
    wasmtime_ms: Option<f64>,
    node_ms: Option<f64>,
}

fn milliseconds(measured: &Measured) -> f64 {
    measured.wall.as_secs_f64() * 1e3
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Three digits are as many as such a number is good for.
fn shown_in(value: Option<f64>, unit: &str) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(value) if value < 10.0 => format!("{value:.1} {unit}"),
        Some(value) => format!("{value:.0} {unit}"),
    }
}

/// `20 of 20`, with the names of those that were not passed.
fn passed(host: &Value) -> String {
    let names = ["missed", "failed"].into_iter().flat_map(|key| host[key].as_array().into_iter().flatten());
    let names: Vec<String> = names.filter_map(|name| Some(format!("`{}`", name.as_str()?))).collect();
    let without = if names.is_empty() { String::new() } else { format!(" (not {})", names.join(" ")) };
    format!("{} of {}{without}", host["passed"], host["of"])
}

fn module_in(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut modules = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    modules.next().with_context(|| format!("the build left no module in `{}`", folder.display()))
}

/// How busy the machine is: the load of the last minute.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_put_between_its_marks_and_nothing_else_changes() {
        let page = format!("a\n{BEGIN}old\n{END}\nb\n");
        let once = replaced(&page, "new").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replaced(&once, "new").unwrap(), once);
        assert!(replaced("a", "new").is_err() && replaced(BEGIN, "new").is_err());
    }

    #[test]
    fn numbers_and_checks_as_a_cell_has_them() {
        assert_eq!(shown_in(median([3.0, 1.0, 2.04].into_iter()), "ms"), "2.0 ms");
        assert_eq!(shown_in(Some(123.4), "ms"), "123 ms");
        assert_eq!(shown_in(None, "ms"), "-");
        let host = serde_json::json!({ "passed": 18, "of": 20, "missed": ["dial"], "failed": ["big"] });
        assert_eq!(passed(&host), "18 of 20 (not `dial` `big`)");
    }
}
