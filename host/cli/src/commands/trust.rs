//! `qyvol trust`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use qyv_spec::bundle::{
    KeyId, NamePattern, PublicKey, TrustStore, TrustedKey, Verdict, limits::MAGIC, verify,
};
use qyv_spec::grants::Allow;
use serde_json::{Value, json};

use crate::atomic::{self, Existing, Readers};
use crate::failure::{Failure, Result};
use crate::target::bundle;
use crate::{keys, output};

/// Say which keys may sign for which apps
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol trust add acme.pub --name 'acme-*'       a publisher's key, for the names of its apps
  qyvol trust add app.qyvbin --name app          the key that signed this bundle
  qyvol trust add default --name my-app          your own key
  qyvol trust ls
  qyvol trust revoke 6a1d55d51e9a56bf            refuse everything that it signed")]
pub(crate) struct Trust {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Trust a key for the names that match a pattern
    #[command(after_help = "Examples:
  qyvol trust add acme.pub --name 'acme-*' --comment 'told by phone'
  qyvol trust add app.qyvbin --name app --grant net")]
    Add(Add),
    /// List the keys
    #[command(after_help = "Examples:
  qyvol trust ls")]
    Ls {
        /// Report as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a key
    #[command(after_help = "Examples:
  qyvol trust rm 6a1d55d51e9a56bf")]
    Rm {
        /// The key's id or the whole key, as `trust ls` prints them
        id: String,
    },
    /// Refuse what a key signed, from now on
    #[command(after_help = "Examples:
  qyvol trust revoke 6a1d55d51e9a56bf")]
    Revoke {
        /// The key's id, or the whole key, which need not be known yet
        id: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// A `.pub` file, the name of a key of yours, a bundle that it signed, or the key's 64 digits
    #[arg(value_name = "KEY|BUNDLE|HEX")]
    key: String,
    /// The apps that it may sign for: a name, or a pattern such as `acme-*`
    #[arg(long = "name", value_name = "PATTERN", required = true)]
    names: Vec<NamePattern>,
    /// What those apps are granted without a question
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    grant: Vec<Allow>,
    /// One line for you
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

impl Trust {
    /// Reads or changes the trust store.
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        match &self.action {
            Action::Add(add) => add.execute()?,
            Action::Ls { json } => list(*json)?,
            Action::Rm { id } => {
                let key = change(|store| {
                    let key = one(store, id)?;
                    store.remove(&key);
                    Ok(key)
                })?;
                output::note(&format!("key {} is forgotten", key.id()));
            }
            Action::Revoke { id } => {
                let key = change(|store| revoke(store, id))?;
                output::note(&format!("key {} is revoked: what it signed is refused", key.id()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    fn execute(&self) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| name.to_string().contains('/')) {
            return Err(Failure::usage(format!(
                "`{name}` would match no app: names of apps have no publisher before a `/` yet"
            ))
            .hint("write what the names of the publisher's apps begin with, such as `acme-*`"));
        }
        let (key, note) = find(&self.key)?;
        let entry = change(|store| {
            let known = store.get(&key).cloned();
            if known.as_ref().is_some_and(|known| known.revoked) {
                return Err(Failure::refused(format!("key {} was revoked", key.id())).hint(format!(
                    "if that was a mistake: `qyvol trust rm {}`, and add it again",
                    key.id()
                )));
            }
            let mut entry = known.unwrap_or(TrustedKey {
                key,
                names: Vec::new(),
                grants: None,
                comment: note.clone(),
                revoked: false,
            });
            for name in &self.names {
                if !entry.names.contains(name) {
                    entry.names.push(name.clone());
                }
            }
            if !self.grant.is_empty() {
                let words: Vec<String> = self.grant.iter().map(ToString::to_string).collect();
                entry.grants = Some(words.join(","));
            }
            entry.comment = self.comment.clone().or(entry.comment);
            store.insert(entry.clone()).map_err(Failure::usage)?;
            Ok(entry)
        })?;
        output::note(&format!("key {} is trusted for {}", key.id(), quoted(&entry.names)));
        if let Some(grants) = &entry.grants {
            output::note(&format!("its apps are granted {grants} without a question"));
        }
        Ok(())
    }
}

/// The key that was meant, and what stands beside it.
fn find(text: &str) -> Result<(PublicKey, Option<String>)> {
    if is_hex(text, 64) {
        return PublicKey::from_hex(text).map(|key| (key, None)).map_err(Failure::refused);
    }
    let path = Path::new(text);
    if is_bundle(path) {
        return signer(path).map(|key| (key, None));
    }
    let path = if path.is_file() { path.to_owned() } else { keys::file(&keys::place(text)?, "pub") };
    keys::public(&path)
}

/// The key of the one signature on a bundle.
fn signer(path: &Path) -> Result<PublicKey> {
    let opened = bundle::read(path)?;
    // Nothing is trusted here: it tells whose signatures fit.
    let verdict = verify(&opened.bundle, opened.app.name.as_str(), &TrustStore::default());
    match &verdict {
        Verdict::Unbound { keys } => match keys.as_slice() {
            [key] => Ok(*key),
            several => {
                let list: Vec<String> =
                    several.iter().map(|key| format!("  {}  {key}\n", key.id())).collect();
                Err(Failure::refused(format!(
                    "`{}` is signed by several keys:\n{}",
                    path.display(),
                    list.concat()
                ))
                .hint("name one by its 64 digits"))
            }
        },
        Verdict::Unsigned => Err(Failure::refused(format!("`{}` is not signed", path.display()))),
        _ => {
            bundle::accepted(&verdict, &opened.app, path, crate::target::Accept::default())?;
            Err(Failure::refused(format!("`{}` names no key", path.display())))
        }
    }
}

fn is_bundle(path: &Path) -> bool {
    use std::io::Read as _;
    let mut beginning = [0; MAGIC.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut beginning).is_ok()) && beginning == MAGIC
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key in the store with this id.
fn one(store: &TrustStore, id: &str) -> Result<PublicKey> {
    let found: Vec<PublicKey> = if is_hex(id, 64) {
        let key = PublicKey::from_hex(id).map_err(Failure::refused)?;
        store.get(&key).map(|known| known.key).into_iter().collect()
    } else if is_hex(id, 16) {
        let number = u64::from_str_radix(id, 16).map_err(Failure::usage)?;
        store.by_id(KeyId(number.to_be_bytes())).map(|known| known.key).collect()
    } else {
        return Err(Failure::usage(format!("`{}` is not the id of a key", id.escape_debug()))
            .hint("write its 16 or 64 digits, as `qyvol trust ls` prints them"));
    };
    match found.as_slice() {
        [key] => Ok(*key),
        [] => Err(Failure::not_found(format!("the trust store has no key {id}"))
            .hint("`qyvol trust ls` lists them")),
        _ => {
            Err(Failure::refused(format!("the trust store has several keys {id}"))
                .hint("write the whole key"))
        }
    }
}

fn revoke(store: &mut TrustStore, id: &str) -> Result<PublicKey> {
    let entry = if is_hex(id, 64) {
        let key = PublicKey::from_hex(id).map_err(Failure::refused)?;
        let unknown = TrustedKey { key, names: Vec::new(), grants: None, comment: None, revoked: true };
        store.get(&key).cloned().unwrap_or(unknown)
    } else {
        let key = one(store, id)?;
        store
            .get(&key)
            .cloned()
            .ok_or_else(|| Failure::not_found(format!("the trust store has no key {id}")))?
    };
    let key = entry.key;
    store.insert(TrustedKey { revoked: true, ..entry }).map_err(Failure::refused)?;
    Ok(key)
}

/// Changes the trust store: two commands at the same time take turns, and the file is there whole at any moment.
fn change<T>(edit: impl FnOnce(&mut TrustStore) -> Result<T>) -> Result<T> {
    let path = bundle::trust_store_path()?;
    let (parent, _) = atomic::split(&path)?;
    atomic::private_folder(&parent)?;
    let lock: PathBuf = parent.join("trust.lock");
    let locked = File::options().create(true).truncate(false).write(true).open(&lock);
    let locked = locked.and_then(|file| file.lock().map(|()| file));
    let _locked = locked.map_err(|error| Failure::at_path("lock", &lock, &error))?;
    let mut store = bundle::trust_store()?;
    let result = edit(&mut store)?;
    atomic::write(&path, store.to_text().as_bytes(), Readers::Usual, Existing::Replaced)?;
    Ok(result)
}

fn list(json: bool) -> Result<()> {
    let store = bundle::trust_store()?;
    if json {
        return output::json(&json!({ "keys": store.keys().map(entry_json).collect::<Vec<_>>() }));
    }
    if store.keys().len() == 0 {
        output::note("no key is trusted; `qyvol trust add KEY --name PATTERN` adds one");
    }
    let mut text = String::new();
    for entry in store.keys() {
        let what = match (entry.revoked, entry.names.as_slice()) {
            (true, _) => "revoked".to_owned(),
            (false, []) => "for no app".to_owned(),
            (false, names) => format!("for {}", quoted(names)),
        };
        text.push_str(&format!("{}  {what}", entry.key.id()));
        for (label, value) in [("grants", &entry.grants), ("#", &entry.comment)] {
            if let Some(value) = value {
                text.push_str(&format!("  {label} {value}"));
            }
        }
        text.push('\n');
    }
    output::data(&text)
}

fn entry_json(entry: &TrustedKey) -> Value {
    json!({
        "id": entry.key.id().to_string(),
        "public": entry.key.to_string(),
        "names": entry.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "grants": entry.grants,
        "comment": entry.comment,
        "revoked": entry.revoked,
    })
}

fn quoted(names: &[NamePattern]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
