//! What an app gets: its requests against what the operator granted, now, before, or by policy.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use qyv_spec::app::AppLimits;
use qyv_spec::bundle::Verdict;
use qyv_spec::grants::{
    Allow, Bind, Capabilities, Grants, Policy, Refusal, Setting, decide, parse_allow_list,
};
use qyv_spec::manifest::Mode;
use qyv_spec::yaml::MANIFEST_BYTES_MAX;

use crate::commands::run::Run;
use crate::failure::{Failure, Result};
use crate::target::{Origin, Target, read_bounded};

/// The policy of the whole host.
const HOST_POLICY: &str = "/etc/qyvol/policy.yaml";

/// Decides what the app gets; asks on a terminal, once, for what is missing.
pub(crate) fn granted(target: &Target, options: &Run) -> Result<Capabilities> {
    let mut policy = policy()?;
    // A name is anybody's to take; what the policy gives to a name, it gives to those whom a trusted key vouches for.
    if !matches!(target.origin, Origin::Bundle(Verdict::Trusted { .. })) {
        policy.apps.clear();
    }
    check_directories(&policy, options)?;
    let stored_at = crate::folders::data()?.join("grants").join(format!("{}.json", identity(target)));
    let answered = stored(&stored_at)?;
    let mut grants = answered.clone();
    grants.allow.extend(options.grant.iter().cloned());
    grants.allow.extend(standing(target)?);
    for bind in &options.bind {
        grants.bind.retain(|other| other.slot != bind.slot);
        grants.bind.push(resolved(bind)?);
    }
    let folder = match &target.origin {
        Origin::Folder(folder) => folder.to_str(),
        _ => None,
    };
    let setting = Setting { deployment: &[], folder };
    let mut capabilities = match decide(&target.app, &grants, &policy, &setting) {
        Ok(capabilities) => capabilities,
        Err(refusals) => {
            let more = ask(target, &refusals)?;
            grants.allow.extend(more.iter().cloned());
            let capabilities =
                decide(&target.app, &grants, &policy, &setting).map_err(|left| refused(target, &left))?;
            // The answer is kept; what was said for this run alone is not.
            store(&stored_at, &Grants { allow: [answered.allow, more].concat(), bind: answered.bind })?;
            capabilities
        }
    };
    let asked = capabilities.limits.clone();
    for limit in &options.limit {
        limit.apply(&mut capabilities.limits);
    }
    capabilities.limits = capped(&policy, &capabilities.limits, &asked)?;
    Ok(capabilities)
}

/// The policy caps what the command line says too.
fn capped(policy: &Policy, wanted: &AppLimits, asked: &AppLimits) -> Result<AppLimits> {
    use qyv_spec::app::{FDS_RANGE, STACK_BYTES_MAX, STACK_BYTES_MIN};
    if wanted != asked {
        if !(STACK_BYTES_MIN..=STACK_BYTES_MAX).contains(&wanted.stack) {
            return Err(Failure::usage("`--limit stack` is out of range").hint("write `64KiB` to `64MiB`"));
        }
        if !FDS_RANGE.contains(&wanted.fds) {
            return Err(Failure::usage("`--limit fds` is out of range").hint("write 8 to 65536"));
        }
    }
    Ok(policy.cap(wanted))
}

/// The policy of this host, or without one that of this user; the empty one without either.
fn policy() -> Result<Policy> {
    Ok(policy_file()?.map(|(_, policy)| policy).unwrap_or_default())
}

/// The policy in force, and the file that it is in.
pub(crate) fn policy_file() -> Result<Option<(PathBuf, Policy)>> {
    for path in [PathBuf::from(HOST_POLICY), crate::folders::config()?.join("policy.yaml")] {
        match read_bounded(&path, MANIFEST_BYTES_MAX as u64, "a policy") {
            Ok(bytes) => {
                let policy = Policy::from_yaml_bytes(&bytes, &path.display().to_string());
                return policy.map(|policy| Some((path, policy))).map_err(|errors| {
                    Failure::refused(crate::output::manifest_errors(&errors, crate::output::colours()))
                });
            }
            Err(failure) if failure.code == crate::failure::Code::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

/// What the key that signed a bundle may grant without a question.
fn standing(target: &Target) -> Result<Vec<Allow>> {
    match &target.origin {
        Origin::Bundle(Verdict::Trusted { grants: Some(grants), .. }) => {
            parse_allow_list(grants).map_err(|invalid| {
                Failure::refused(format!("the trust store grants what is no grant: {}", invalid.message))
            })
        }
        _ => Ok(Vec::new()),
    }
}

/// A bind with its path absolute and its links resolved, as the decision wants it.
fn resolved(bind: &Bind) -> Result<Bind> {
    let path = Path::new(&bind.path);
    let absolute = path.canonicalize().map_err(|error| Failure::at_path("bind", path, &error))?;
    let path = absolute
        .into_os_string()
        .into_string()
        .map_err(|path| Failure::refused(format!("`{}` is not UTF-8", Path::new(&path).display())))?;
    Ok(Bind { path, ..bind.clone() })
}

/// Whose app this is: its name and who vouches for it, so that a stranger's app of the same name gets neither the
/// answers nor the files of another.
pub(crate) fn identity(target: &Target) -> String {
    let source = match &target.origin {
        Origin::Module => "module".to_owned(),
        Origin::Folder(folder) => {
            let hash = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
            format!("folder-{}", &hash[..32])
        }
        Origin::Bundle(Verdict::Trusted { key, .. }) => format!("key-{}", key.id()),
        Origin::Bundle(_) => {
            let hash = blake3::hash(&target.app.to_json()).to_hex();
            format!("app-{}", &hash[..32])
        }
    };
    format!("{}.{source}", target.app.name)
}

/// The policy caps the folders that the command line shows, too.
fn check_directories(policy: &Policy, options: &Run) -> Result<()> {
    for directory in &options.directories {
        let path = directory
            .host
            .canonicalize()
            .map_err(|error| Failure::at_path("show", &directory.host, &error))?;
        let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
        if !path.to_str().is_some_and(|path| policy.allows_path(path, mode)) {
            let message = format!("the host's policy does not let an app reach `{}`", path.display());
            return Err(
                Failure::refused(message).hint("show another folder, or add it to `paths` in the policy")
            );
        }
    }
    Ok(())
}

fn stored(path: &Path) -> Result<Grants> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::refused(format!("the stored grants `{}` cannot be read: {error}", path.display()))
                .hint("remove the file and answer again")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Grants::default()),
        Err(error) => Err(Failure::at_path("read", path, &error)),
    }
}

fn store(path: &Path, grants: &Grants) -> Result<()> {
    let text = serde_json::to_vec_pretty(grants).map_err(Failure::own)?;
    crate::target::write_atomically(path, &text)
}

/// Asks the person at the terminal for what is missing. Paths are not asked for: they must be named.
fn ask(target: &Target, refusals: &[Refusal]) -> Result<Vec<Allow>> {
    let wanted: Option<Vec<Allow>> =
        refusals.iter().map(|refusal| refusal.request.as_ref()?.narrowest()).collect();
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Err(refused(target, refusals));
    };
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(refused(target, refusals));
    }
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "`{}` asks for:", target.app.name);
    for allow in &wanted {
        let _ = writeln!(stderr, "  {allow}");
    }
    let _ = write!(stderr, "Grant it, now and later? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::own)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(wanted) } else { Err(refused(target, refusals)) }
}

fn refused(target: &Target, refusals: &[Refusal]) -> Failure {
    let list: Vec<String> = refusals.iter().map(|refusal| format!("  {refusal}\n")).collect();
    Failure::refused(format!("`{}` was not started:\n{}", target.app.name, list.concat()))
}
