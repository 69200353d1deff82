//! Go, by its own command.

use std::path::{Path, PathBuf};

use super::Tools;
use crate::build::Project;
use crate::part::{Mend, Part, program};
use crate::run::Run;
use crate::{Host, Observer, Result, Version};

/// The first version that the SDK is written for.
const LEAST: Version = Version(1, 24, 0);

pub(super) struct Go;

impl Tools for Go {
    fn parts(&self, host: &Host, _: &Path) -> Vec<Part> {
        vec![Part {
            name: "go",
            wanted: format!("{LEAST} or newer"),
            state: program(host, &["go"], &["version"], LEAST),
            optional: None,
            // The package of Debian 12 is older than that.
            mend: Mend::ByHand("install Go: https://go.dev/dl"),
        }]
    }

    fn recognises(&self, folder: &Path) -> bool {
        folder.join("go.mod").is_file()
    }

    fn build(&self, project: &Project, host: &Host, observer: &mut dyn Observer) -> Result<PathBuf> {
        let built = project.build_file("app.wasm")?;
        let mut run =
            Run::new(host, "go").env("CGO_ENABLED", "0").env("GOARCH", "wasm").env("GOOS", "wasip1");
        // Paths of this machine and the state of its repository are no part of a program.
        run = run.args(["build", "-trimpath", "-buildvcs=false"]);
        if project.release {
            run = run.arg("-ldflags=-s -w");
        }
        run.arg("-o").arg(&built).arg(".").folder(&project.folder).compile(observer)?;
        Ok(built)
    }

    fn template(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("@NAME@.qyv", include_str!("../../templates/manifest.qyv.txt")),
            ("go.mod", include_str!("../../templates/go/go.mod.txt")),
            ("qyv/error.go", include_str!("../../../../guest/go/qyv/error.go")),
            ("qyv/framing.go", include_str!("../../../../guest/go/qyv/framing.go")),
            ("qyv/qyv.go", include_str!("../../../../guest/go/qyv/qyv.go")),
            ("main.go", include_str!("../../templates/go/main.go.txt")),
            (".gitignore", include_str!("../../templates/gitignore.txt")),
            ("README.md", include_str!("../../templates/README.md.txt")),
        ]
    }
}
