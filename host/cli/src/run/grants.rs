//! What an app gets: its requests against what the operator granted, now, before, or by policy.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use qyv_spec::app::AppLimits;
use qyv_spec::bundle::Verdict;
use qyv_spec::grants::{Allow, Capabilities, Grants, Policy, Refusal, Setting, decide, parse_allow_list};
use qyv_spec::service::Name;
use qyv_spec::yaml::MANIFEST_BYTES_MAX;

use crate::commands::run::Run;
use crate::failure::{Failure, Result};
use crate::language::{is_yes, translated};
use crate::run::reach::{self, Folders};
use crate::target::{Origin, Target, read_bounded};

/// The policy of the whole host.
pub(crate) const HOST_POLICY: &str = "/etc/qyvol/policy.yaml";

/// Decides what the app gets, and opens the folders that it reaches; asks on a terminal, once, for what is missing.
pub(crate) fn granted(target: &Target, options: &Run) -> Result<(Capabilities, Folders)> {
    let mut policy = policy()?;
    // A name is anybody's to take; what the policy gives to a name, it gives to those whom a trusted key vouches for.
    if !matches!(target.origin, Origin::Bundle(Verdict::Trusted { .. })) {
        policy.apps.clear();
    }
    check_environment(&policy, options)?;
    let mut folders = Folders::shown(options, &policy)?;
    let stored_at = crate::folders::data()?.join("grants").join(format!("{}.json", identity(target)?));
    let answered = stored(&stored_at)?;
    let mut grants = answered.clone();
    grants.allow.extend(options.grant.iter().cloned());
    grants.allow.extend(standing(target)?);
    for bind in &options.bind {
        grants.bind.retain(|other| other.slot != bind.slot);
        grants.bind.push(bind.clone());
    }
    folders.bind(&target.app, &mut grants.bind)?;
    // What the operator binds is not looked for where the policy would have it.
    let of_name = policy.apps.iter_mut().filter(|entry| entry.name.matches(&target.app.name));
    let others = of_name.flat_map(|entry| &mut entry.bind);
    let others = others.filter(|bind| grants.bind.iter().all(|own| own.slot != bind.slot));
    folders.bind(&target.app, others)?;
    let folder = match &target.origin {
        Origin::Folder(folder) => Some(reach::place(folder, &options.app)?),
        _ => None,
    };
    let setting = Setting { deployment: &[], folder: folder.as_deref() };
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
    folders.open_beside(target, &capabilities, &policy)?;
    Ok((capabilities, folders))
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
                return policy
                    .map(|policy| Some((path, policy)))
                    .map_err(|errors| Failure::refused(crate::output::manifest_errors(&errors)));
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

/// Whose app this is: its name and who vouches for it, so that a stranger's app of the same name gets neither the
/// answers nor the files of another.
pub(crate) fn identity(target: &Target) -> Result<String> {
    let source = match &target.origin {
        Origin::Module => "module".to_owned(),
        Origin::Folder(folder) => {
            let place = reach::place(folder, Path::new("the manifest's folder"))?;
            let hash = blake3::hash(place.as_bytes()).to_hex();
            format!("folder-{}", &hash[..32])
        }
        Origin::Bundle(Verdict::Trusted { key, .. }) => format!("key-{}", key.id()),
        Origin::Bundle(_) => {
            let hash = blake3::hash(&target.app.to_json()).to_hex();
            format!("app-{}", &hash[..32])
        }
    };
    Ok(format!("{}.{source}", target.app.name))
}

/// The policy caps the variables that the command line hands over, too.
fn check_environment(policy: &Policy, options: &Run) -> Result<()> {
    match options.environment.iter().find(|(name, _)| !policy.allows_variable(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("the host's policy does not let an app take the variable `{name}`");
            Err(Failure::refused(message)
                .hint(format!("leave out `--env {name}`, or add `env:{name}` to `allow` in the policy")))
        }
    }
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
    if consent(&target.app.name, &wanted)? { Ok(wanted) } else { Err(refused(target, refusals)) }
}

/// Whether the person at the terminal lets an app have this; no without a terminal.
pub(crate) fn consent(app: &Name, wanted: &[Allow]) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(false);
    }
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{}", translated(&format!("`{app}` asks for:")));
    for allow in wanted {
        let _ = writeln!(stderr, "  {allow}");
    }
    let _ = write!(stderr, "{} ", translated("Grant it, now and later? [y/N]"));
    let _ = stderr.flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::own)?;
    Ok(is_yes(answer.trim()))
}

fn refused(target: &Target, refusals: &[Refusal]) -> Failure {
    let list: Vec<String> = refusals.iter().map(|refusal| format!("  {refusal}\n")).collect();
    Failure::refused(format!("`{}` was not started:\n{}", target.app.name, list.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_of_the_command_line_passes_the_policys() {
        let policy = "policy: 1\nlimits: { memory: 1MiB, stack: 64KiB, fds: 9, disk: 2MiB, inodes: 3, cpu: 0.5, \
                      cpu_time: 4s, wall: 5s }\n";
        let policy = Policy::from_yaml_bytes(policy.as_bytes(), "policy").unwrap();
        let manifest = qyv_spec::Manifest::from_yaml("name: a\nentrypoint: m.wasm\n", "a.qyv").unwrap();
        let program = crate::target::packaged("m.wasm", 1, [0; 32]).unwrap();
        let app = crate::target::resolve(&manifest, vec![program], Path::new("a.qyv")).unwrap();
        let least = policy.cap(&app.limits);
        assert_eq!((least.memory, least.stack, least.fds, least.disk), (1 << 20, 64 << 10, 9, 2 << 20));
        assert_eq!((least.inodes, least.cpu_milli), (3, Some(500)));
        assert_eq!((least.cpu_time_ms, least.wall_ms), (Some(4000), Some(5000)));
        let wanted = ["memory=1GiB", "stack=64MiB", "fds=65536", "disk=1TiB", "inodes=99999", "cpu=4"];
        for wanted in wanted.into_iter().chain(["cpu_time=9h", "wall=9h"]) {
            let mut limits = least.clone();
            wanted.parse::<crate::run::options::LimitOption>().unwrap().apply(&mut limits);
            assert_ne!(limits, least, "{wanted}");
            assert_eq!(capped(&policy, &limits, &least).unwrap(), least, "{wanted}");
        }
        let mut limits = least.clone();
        "memory=4KiB".parse::<crate::run::options::LimitOption>().unwrap().apply(&mut limits);
        assert_eq!(capped(&policy, &limits, &least).unwrap().memory, 4096);
    }
}
