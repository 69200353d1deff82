//! The folder whose manifests the daemon deploys by itself.

use std::fmt::Write as _;

use qyvol_protocol::api::Manifests;

use crate::client::Client;
use crate::failure::{Code, Result};

/// The folder and what is wrong with it; `None` from a daemon that knows none.
pub(crate) fn all(client: &Client) -> Result<Option<Manifests>> {
    match client.get("/v1/manifests") {
        Ok(manifests) => Ok(Some(manifests)),
        Err(failure) if failure.code == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// How many of its files are not deployed as they stand.
pub(crate) fn problems(manifests: &Manifests) -> usize {
    let of_files = manifests.files.iter().filter(|file| file.problem.is_some()).count();
    of_files + usize::from(manifests.problem.is_some())
}

/// The folder, and each problem.
pub(super) fn about(manifests: &Manifests) -> String {
    let mut text = format!("follows  {}, {} files\n", manifests.folder, manifests.files.len());
    if let Some(problem) = &manifests.problem {
        let _ = writeln!(text, "         not now: {problem}");
    }
    for file in &manifests.files {
        let Some(problem) = &file.problem else { continue };
        let _ = writeln!(text, "         `{}` is not deployed:", file.file);
        for line in problem.lines().chain(file.hint.as_deref()) {
            let _ = writeln!(text, "           {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyvol_protocol::api::ManifestFile;

    #[test]
    fn a_problem_is_shown_with_its_file_and_how_to_mend_it() {
        let file = |name: &str, problem: Option<&str>| ManifestFile {
            file: name.into(),
            app: None,
            problem: problem.map(Into::into),
            hint: problem.map(|_| "mend it".into()),
            time: 0,
        };
        let mut manifests = Manifests {
            folder: "/d".into(),
            problem: None,
            files: vec![file("/d/a.qyv", None), file("/d/b.qyv", Some("line 3\nis wrong"))],
        };
        let text = about(&manifests);
        assert!(text.starts_with("follows  /d, 2 files\n") && !text.contains("a.qyv"), "{text}");
        assert!(
            text.contains("`/d/b.qyv`") && text.contains("   is wrong\n") && text.contains("mend it"),
            "{text}"
        );
        assert_eq!(problems(&manifests), 1);
        manifests.problem = Some("others may write".into());
        assert!(about(&manifests).contains("others may write") && problems(&manifests) == 2);
    }
}
