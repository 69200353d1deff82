//! `qyvol exec`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use qyvol_protocol::api::ExecRequest;

use super::attach::Target;
use crate::attached;
use crate::client::Client;
use crate::failure::Result;
use crate::output;

/// Run a program of an app beside an instance that runs, with its files and rights
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol exec db -- --compact                      the app's program once more, with `--compact`
  qyvol exec db.1 -- /bin/dump.wasm --all > dump  another program of its bundle, beside the second replica
  qyvol exec -i db -e LEVEL=debug -- import < rows.csv

There is no shell: what runs is the app's own program, or the one of its bundle that the first word names (`/….wasm`).
It ends with its instance, or when this command is ended. The exit code is that of the program.")]
pub(crate) struct Exec {
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// There is no terminal to allocate for WebAssembly: only says so
    #[arg(short, long)]
    tty: bool,
    /// Set a variable of the program, or take it from here when it has no value
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Pass every byte to the terminal, control sequences too
    #[arg(long)]
    raw: bool,
    /// The app, or one of its replicas: `app`, `app.1`
    app: Target,
    /// What the program is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("a variable has a name".into()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(_) => Err(format!("`{text}` is not set here; write `{text}=VALUE`")),
        },
    }
}

impl Exec {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        if self.tty {
            output::warning(
                "`-t`: a WebAssembly program has no terminal, so none is allocated; its streams are pipes",
            );
        }
        let client = Client::new()?;
        let path = format!("/v1/apps/{}/exec", self.app.app);
        let session = client.session(&path, &self.request())?;
        attached::carry(&session, self.interactive, self.raw)
    }

    fn request(&self) -> ExecRequest {
        let is_program = |word: &&String| word.starts_with('/') && word.ends_with(".wasm");
        let program = self.args.first().filter(is_program).cloned();
        ExecRequest {
            slot: self.app.slot,
            args: self.args.iter().skip(usize::from(program.is_some())).cloned().collect(),
            program,
            env: BTreeMap::from_iter(self.env.iter().cloned()),
            stdin: self.interactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        exec: Exec,
    }

    fn parsed(line: &str) -> std::result::Result<ExecRequest, String> {
        let words = std::iter::once("exec").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.exec.request()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_typed_becomes_the_request() {
        let plain = parsed("db").unwrap();
        assert_eq!(plain, ExecRequest::default());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let all = parsed("-it -e A=1 -e B=x=y db.3 -- /bin/tool.wasm -e C=2 /x.wasm").unwrap();
        assert_eq!((all.slot, all.stdin, all.program.as_deref()), (Some(3), true, Some("/bin/tool.wasm")));
        assert_eq!(all.args, words(&["-e", "C=2", "/x.wasm"]));
        assert_eq!(
            all.env.into_iter().collect::<Vec<_>>(),
            [("A".into(), "1".into()), ("B".into(), "x=y".into())]
        );
        // Without `--`, as with other tools.
        assert_eq!(parsed("db ls -l").unwrap().args, words(&["ls", "-l"]));
        for bad in ["", "Db", "db.x", "db.-1", "../db", "-e =1 db", "-e NOT_SET_ANYWHERE_42 db"] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
