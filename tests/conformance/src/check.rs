//! Runs cases and says which went wrong, and how.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::backend::{Backend, Job, Tools};
use crate::cases::{Case, Files};
use crate::guests::{Guests, Target};
use crate::{pool, tree};

/// What became of the cases.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many runs there were: a case runs once for each of its targets and backends.
    pub total: usize,
    /// The runs that failed, with the reason.
    pub failures: Vec<String>,
}

/// A case on one backend, as one kind of program.
struct Run<'a> {
    case: &'a Case,
    target: Target,
    backend: Backend,
}

/// Runs those of `cases` that may run on one of `backends` and whose program's name contains `filter`.
#[must_use]
pub fn run_cases(
    tools: &Tools,
    guests: &Guests,
    cases: &[Case],
    backends: &[Backend],
    filter: Option<&str>,
) -> Report {
    let mut runs = Vec::new();
    for case in cases.iter().filter(|case| filter.is_none_or(|filter| case.program.contains(filter))) {
        for &target in case.targets {
            for &backend in case.backends.iter().filter(|backend| backends.contains(backend)) {
                // Node's engine has no component model.
                if !(target == Target::Preview2 && backend == Backend::Node) {
                    runs.push(Run { case, target, backend });
                }
            }
        }
    }
    let results = pool::map(&runs, |run| run.check(tools, guests).with_context(|| run.name()));
    let failures = results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}"));
    Report { total: runs.len(), failures: failures.collect() }
}

impl Run<'_> {
    fn name(&self) -> String {
        let Case { program, args, .. } = self.case;
        [&format!("{program} ({}, {})", self.target.name(), self.backend.name()), " ", &args.join(" ")]
            .concat()
    }

    fn check(&self, tools: &Tools, guests: &Guests) -> Result<()> {
        let case = self.case;
        let temp = tempfile::tempdir()?;
        let job = self.job(guests, temp.path())?;
        let before = tree::snapshot(temp.path())?;
        let output = tools.run(self.backend, &job)?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));

        let ending = case.ending_p2.filter(|_| self.target == Target::Preview2).unwrap_or(case.ending);
        ensure!(ending.is(output.code), "exit code {}, not {ending:?}: {}", output.code, stderr.trim());
        if let Some(expected) = case.stdout {
            ensure!(stdout == expected, "stdout is {stdout:?}, not {expected:?}");
        }
        if let Some(part) = case.stderr_has {
            ensure!(stderr.contains(part), "stderr has no {part:?}: {stderr:?}");
        }
        let after = tree::snapshot(temp.path())?;
        let outside = |entries: &std::collections::BTreeMap<_, _>| entries.get(Path::new("secret")).cloned();
        ensure!(outside(&before) == outside(&after), "a file outside the granted folder was changed");
        if job.read_only || !self.backend.writes_through() {
            ensure!(before == after, "the host's folder was changed");
        }
        Ok(())
    }

    /// Puts the case's files into `temp`: the granted ones in `root`, and `secret` beside it.
    fn job(&self, guests: &Guests, temp: &Path) -> Result<Job> {
        let case = self.case;
        let root = temp.join("root");
        std::fs::create_dir(&root)?;
        std::fs::write(temp.join("secret"), "not for guests")?;
        let mut folders = vec![(root.clone(), "/".to_owned())];
        match case.files {
            Files::Nothing => folders.clear(),
            Files::Folder(fill) | Files::ReadOnly(fill) => fill(&root)?,
            Files::Two => {
                let second = temp.join("second");
                std::fs::create_dir(&second)?;
                folders.push((second, "/second".to_owned()));
            }
        }
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Ok(Job {
            program: guests.path(case.program, self.target),
            args: case.args.iter().map(|&arg| arg.to_owned()).collect(),
            env: own(&case.env),
            stdin: case.stdin.to_vec(),
            folders,
            read_only: matches!(case.files, Files::ReadOnly(_)),
            limits: own(&case.limits),
            timeout: case.timeout.map(str::to_owned),
        })
    }
}
