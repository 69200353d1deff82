//! `qyvol cp`.

use std::io::{Read, pipe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qyv_spec::service::Name;
use qyv_vfs::{Access, Vfs};
use qyvol_fs::{DiskFs, DiskFsOptions};
use qyvol_launch::archive::{self, CopyError};
use qyvol_protocol::api::FileInfo;
use serde_json::{Value, json};

use crate::client::{Client, segment};
use crate::commands::volume::archive::{tell, to_output};
use crate::failure::{Code, Failure, Result};
use crate::output;

/// Copy files between an app and this host
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol cp db:/data/log.txt .       out of the app\u{27}s volume
  qyvol cp seed.sql db:/data/       into it
  qyvol cp web:/static ./static     what is packaged, a folder with all that is in it
  qyvol cp db:/data - | tar t       as a tar archive; `tar c . | qyvol cp - db:/data` the other way

An app has its packaged files, which are only read, and its volume at `/data`, within its limits.
Links are copied as links when they stay within what is copied, and never followed out of it.
An app that runs counts what it was given at its next start.")]
pub(crate) struct Cp {
    /// `APP:/path`, a path of this host, or `-`: a tar archive from standard input
    #[arg(value_name = "SRC")]
    source: Side,
    /// `APP:/path`, a path of this host, or `-`: a tar archive to standard output
    #[arg(value_name = "DST")]
    target: Side,
    /// The replica whose volume is meant
    #[arg(long, value_name = "N", default_value_t = 0)]
    slot: u32,
    /// Report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    App(Name, String),
    Here(PathBuf),
    Stdio,
}

impl std::str::FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdio);
        }
        match text.split_once(":/") {
            Some((name, path)) if !name.contains('/') && !name.starts_with('.') => {
                let name = name.parse().map_err(|invalid: qyv_spec::Invalid| invalid.message)?;
                Ok(Self::App(name, format!("/{path}")))
            }
            _ if text.is_empty() => Err("it is empty".to_owned()),
            _ => Ok(Self::Here(text.into())),
        }
    }
}

impl Cp {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        let client = Client::new()?;
        let copied = match (&self.source, &self.target) {
            (Side::App(app, path), Side::Here(target)) => self.out(&client, app, path, target)?,
            (Side::App(app, path), Side::Stdio) => {
                if self.json {
                    return Err(Failure::usage("`--json` and an archive do not both fit on standard output"));
                }
                to_output(&client, &self.place(app, path, ""))?.unwrap_or_default()
            }
            (Side::Here(source), Side::App(app, path)) => self.into(&client, source, app, path)?,
            (Side::Stdio, Side::App(app, path)) => {
                let answer = client.put_stream(&self.place(app, path, ""), Box::new(std::io::stdin()))?;
                crate::client::decode(&answer)?
            }
            _ => {
                return Err(Failure::usage("one side of a copy is an app")
                    .hint("as in `qyvol cp db:/data/log.txt .`"));
            }
        };
        if self.json {
            output::json(&json!({ "cp": 1, "summary": copied }))?;
        } else {
            tell("copied", &copied);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Where the API has a path of an app.
    fn place(&self, app: &Name, path: &str, more: &str) -> String {
        format!("/v1/apps/{app}/files{more}?path={}&slot={}", segment(path), self.slot)
    }

    /// Out of an app: into a folder that is there, or under a name that is new.
    fn out(&self, client: &Client, app: &Name, path: &str, target: &Path) -> Result<Value> {
        let _: FileInfo = client.get(&self.place(app, path, "/about"))?;
        let own = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(app.as_str()).to_owned();
        let (folder, name) = match target.is_dir() {
            true => (target.to_owned(), own),
            false => (parent(target), name_of(target)?),
        };
        let mut vfs = open(&folder, Access::ReadWrite)?;
        let (mut reader, mut writer) = pipe().map_err(Failure::own)?;
        let unpacking = std::thread::spawn(move || {
            let unpacked = archive::unpack(&mut vfs, "", Some(&name), &mut reader);
            // What is left is nobody's, and the other side is not to wait for it.
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
            unpacked
        });
        let received = client.receive(&self.place(app, path, ""), &mut writer);
        drop(writer);
        let unpacked = unpacking.join().map_err(|_| Failure::own("the copy was given up"))?;
        // Who was cut off says so better than who read a part.
        let said = received?;
        unpacked.map_err(|error| Failure::own(format!("cannot copy to `{}`: {error}", target.display())))?;
        Ok(said.unwrap_or_default())
    }

    /// Into an app: into a folder that is there, or under a name that is new.
    fn into(&self, client: &Client, source: &Path, app: &Name, path: &str) -> Result<Value> {
        // Of a link, what it leads to.
        let place = source.canonicalize().map_err(|error| Failure::at_path("copy", source, &error))?;
        let own = name_of(&place)?;
        let is_folder = match client.get::<FileInfo>(&self.place(app, path, "/about")) {
            Ok(info) => info.kind == "folder",
            Err(failure) if failure.code == Code::NotFound && !path.ends_with('/') => false,
            Err(failure) => return Err(failure),
        };
        if path.ends_with('/') && !is_folder {
            return Err(Failure::refused(format!("`{path}` of `{app}` is no folder")));
        }
        let trimmed = path.trim_end_matches('/');
        let (folder, name) = match (is_folder, trimmed.rsplit_once('/')) {
            (false, Some((folder, name))) => (if folder.is_empty() { "/" } else { folder }, name.to_owned()),
            _ => (path, own.clone()),
        };
        let mut vfs = open(&parent(&place), Access::ReadOnly)?;
        let (reader, mut writer) = pipe().map_err(Failure::own)?;
        let packing = std::thread::spawn(move || archive::pack(&mut vfs, &own, &name, &mut writer));
        let input: Box<dyn Read + Send> = Box::new(reader);
        let answer = client.put_stream(&self.place(app, folder, ""), input);
        let packed = packing.join().map_err(|_| Failure::own("the copy was given up"))?;
        let (answer, packed) = match (answer, packed) {
            (Ok(answer), Ok(packed)) => (answer, packed),
            // Who hangs up has said why.
            (Err(failure), Ok(_) | Err(CopyError::Stream(_))) => return Err(failure),
            (_, Err(error)) => {
                return Err(Failure::own(format!("cannot copy `{}`: {error}", source.display())));
            }
        };
        let mut summary: Value = crate::client::decode(&answer)?;
        // What was left out here is not known there.
        summary["left_out"] = packed.skipped.len().into();
        summary["skipped"] = packed.skipped.into();
        Ok(summary)
    }
}

/// A folder of this host, as the one thing that there is: nothing is reached beyond it.
fn open(folder: &Path, access: Access) -> Result<Vfs> {
    let disk = DiskFs::open(folder, DiskFsOptions::default())
        .map_err(|error| Failure::at_path("open", folder, &error))?;
    let mut vfs = Vfs::new();
    vfs.mount("/", Box::new(disk), access)
        .map_err(|error| Failure::own(format!("cannot open `{}`: {error}", folder.display())))?;
    Ok(vfs)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| Failure::usage(format!("`{}` does not end with a name in UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_an_app_a_path_or_a_stream() {
        let app = |name: &str, path: &str| Ok(Side::App(name.parse().unwrap(), path.into()));
        let here = |path: &str| Ok(Side::Here(path.into()));
        assert_eq!("db:/data/x".parse(), app("db", "/data/x"));
        assert_eq!("-".parse(), Ok(Side::Stdio));
        for path in ["x", "./db:/x", "/db:/x", "a/b:/x", "db:x", "../x:/y"] {
            assert_eq!(path.parse(), here(path), "{path}");
        }
        assert!("".parse::<Side>().is_err() && "No App:/x".parse::<Side>().is_err());
    }
}
