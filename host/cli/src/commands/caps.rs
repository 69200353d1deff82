//! `qyvol caps`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::caps::{self, Form, Need, Scan, Unused, Verdict};
use crate::failure::Result;
use crate::look::{self, Look};
use crate::output;

/// Say which rights a program needs, from what it imports
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 told, 126 not a program, 127 not found

Examples:
  qyvol caps tool.wasm
  qyvol caps app.qyvbin --json | jq .needs")]
pub(crate) struct Caps {
    /// A `.qyv`, `.qyvbin`, `.wasm` or `.wat` file, or a folder with one manifest
    app: PathBuf,
    /// Report as one line of JSON, every import included
    #[arg(long)]
    json: bool,
}

/// Everything that the bytes tell.
struct Told {
    scan: Scan,
    verdict: Verdict,
    entry: Option<&'static str>,
    needs: Vec<Need>,
    /// `None` without a manifest.
    unused: Option<Vec<Unused>>,
}

impl Caps {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let look = Look::at(&self.app)?;
        let Some(wasm) = &look.wasm else {
            let why = "its program is run by the runtime of its language, so its imports tell nothing";
            return Err(crate::failure::Failure::refused(format!("`{}`: {why}", self.app.display())));
        };
        let scan = look::outline(&look::program_of(&self.app, look.app.as_ref()), wasm)?;
        let told = Told {
            verdict: caps::verdict(&scan),
            entry: look::missing_entry(&scan),
            needs: caps::needs(&scan, look.app.as_ref()),
            unused: look.app.as_ref().map(|app| caps::unused(&scan, app)),
            scan,
        };
        if self.json {
            output::json(&told.json())?;
        } else {
            output::told(&told.text())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Told {
    fn json(&self) -> Value {
        let imports: Vec<String> = self.scan.imports.iter().map(shown).collect();
        json!({
            "caps": 1,
            "form": match self.scan.form { Form::Module => "module", Form::Component => "component" },
            "world": self.verdict.world.word(),
            "runs_here": self.verdict.sign.is_none() && self.entry.is_none(),
            "sign": self.verdict.sign,
            "mend": self.verdict.world.mend(),
            "entry": self.entry,
            "made_by": self.scan.made_by,
            "needs": self.needs.iter().map(Need::json).collect::<Vec<_>>(),
            "unused": self.unused.as_ref().map(|unused| unused.iter().map(Unused::json).collect::<Vec<_>>()),
            "imports": imports,
            "imports_left_out": self.scan.imports_left_out,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let form = match self.scan.form {
            Form::Module => "module",
            Form::Component => "component",
        };
        writeln!(text, "A {form} for {}", self.verdict.world.name())?;
        if !self.scan.made_by.is_empty() {
            let makers: Vec<_> = self.scan.made_by.iter().map(String::as_str).collect();
            writeln!(text, "Made by: {}", makers.join(", "))?;
        }
        if let Some(sign) = &self.verdict.sign {
            writeln!(text, "\nIt does not run here: {sign}")?;
            if let Some(mend) = self.verdict.world.mend() {
                writeln!(text, "  {mend}")?;
            }
        }
        if let Some(entry) = self.entry {
            writeln!(text, "\nThere is nothing to run: {entry}")?;
        }
        if self.scan.form == Form::Component && self.scan.imports.is_empty() {
            writeln!(text, "\nIt imports nothing")?;
        } else if self.scan.form == Form::Component {
            writeln!(text, "\nIt imports:")?;
            for import in &self.scan.imports {
                writeln!(text, "  {}", shown(import))?;
            }
        }
        if self.needs.is_empty() {
            writeln!(
                text,
                "\nIt needs no right: standard streams, arguments, variables, clocks and randomness are free"
            )?;
        }
        for need in &self.needs {
            let asked = match need.asked {
                Some(true) => " (the manifest asks for it)",
                Some(false) => " (the manifest does not ask for it)",
                None => "",
            };
            writeln!(text, "\nIt may {}{asked}", need.what)?;
            writeln!(text, "  because it imports {}", quoted(&need.imports))?;
            if need.asked != Some(true) {
                writeln!(text, "  asked for by, as fits:")?;
                for line in need.lines {
                    writeln!(text, "    {line}")?;
                }
            }
        }
        for unused in self.unused.iter().flatten() {
            writeln!(text, "\n`{}` is asked for and never used: {}", unused.key, unused.why)?;
        }
        Ok(())
    }
}

/// The most imports of one kind that are listed for people.
const IMPORTS_SHOWN: usize = 8;

fn quoted(imports: &[String]) -> String {
    let mut list: Vec<String> = imports.iter().take(IMPORTS_SHOWN).map(|name| format!("`{name}`")).collect();
    if imports.len() > IMPORTS_SHOWN {
        list.push(format!("{} more", imports.len() - IMPORTS_SHOWN));
    }
    list.join(", ")
}

fn shown((module, name): &(String, String)) -> String {
    if name.is_empty() { module.clone() } else { format!("{module}::{name}") }
}
