//! Whether an app may be deployed: everything that is asked before it is stored.

use std::collections::BTreeMap;

use qyv_spec::App;
use qyv_spec::app::HostFeatures;
use qyv_spec::bundle::Verdict;
use qyv_spec::grants::{Allow, Capabilities, Grants, Policy, Request, Setting, decide, parse_allow_list};
use qyv_spec::manifest::{Kind as AppKind, Mode, OwnFiles, Version};
use qyv_spec::service::Name;
use qyvol_protocol::api::DeployApp;

use crate::candidate::Candidate;
use crate::fault::{Fault, Kind};

/// What workers can give to an app.
pub(crate) const FEATURES: HostFeatures = HostFeatures {
    supervision: true,
    services: true,
    net: true,
    listen: true,
    http: true,
    web: false,
    gfx: false,
    ai: false,
    exec: true,
    admin: true,
    power: false,
    sensors: false,
    netfs: false,
    julia: false,
    lua: false,
    shares: true,
    weights: true,
    predictive: false,
    own_process: true,
    volumes: true,
};

/// The revision that a new one would take the place of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    pub(crate) version: &'a Version,
    /// Whether a trusted key vouched for it.
    pub(crate) signed: bool,
    pub(crate) grants: &'a Grants,
}

/// Where a candidate is decided about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) policy: &'a Policy,
    /// Services that apps of the same deployment offer.
    pub(crate) deployment: &'a [Name],
    pub(crate) before: Option<Before<'a>>,
    /// Whether the operator insists.
    pub(crate) force: bool,
}

/// Decides about a candidate. The answer is what is stored: with all grants that it stands on, and whether it was unsigned.
pub(crate) fn admit(candidate: &Candidate, scene: &Scene<'_>) -> Result<DeployApp, Fault> {
    let (app, mut request) = (&candidate.app, candidate.request.clone());
    let signed = vouched(app, &candidate.verdict, &request)?;
    if let Some(before) = scene.before.filter(|_| !scene.force) {
        if before.signed && !signed {
            return Err(Fault::refused(format!(
                "`{}` runs from a signed bundle, and takes updates only from a key bound to its name",
                app.name
            ))
            .hint("sign the update, or insist with `--force`"));
        }
        if app.version.is_lower_than(before.version) {
            let message =
                format!("`{}` {} is lower than {}, which runs", app.name, app.version, before.version);
            return Err(Fault::refused(message).hint("to go back, insist with `--force`"));
        }
    }
    let missing = app.unavailable(&FEATURES);
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(|missing| format!("\n  {missing}")).collect();
        return Err(Fault::refused(format!(
            "`{}` needs what is not available here yet:{}",
            app.name,
            list.concat()
        )));
    }
    let kind = request.kind.unwrap_or(app.kind);
    if kind == AppKind::Http && app.permissions.net.listen.is_empty() {
        let message = format!("`{}` answers HTTP requests, and listens at no address", app.name);
        return Err(Fault::refused(message)
            .hint("let it listen: `permissions: { net: { listen: [\"tcp://127.0.0.1:8080\"] } }`"));
    }
    if let Some(before) = scene.before.filter(|before| before.signed == signed) {
        keep(&mut request.grants, before.grants);
    }
    grant_deployment(&mut request.grants, app, scene.deployment);
    request.allow_unsigned = !signed;
    capabilities(app, &request, &candidate.verdict, scene.policy)?;
    check_shown(candidate, scene.policy)?;
    Ok(request)
}

/// Decides what an app gets, at its deploy and at each start: the policy may have changed between.
pub(crate) fn capabilities(
    app: &App,
    request: &DeployApp,
    verdict: &Verdict,
    policy: &Policy,
) -> Result<Capabilities, Fault> {
    let mut grants = request.grants.clone();
    let mut policy = policy.clone();
    match verdict {
        Verdict::Trusted { grants: standing, .. } => {
            if let Some(standing) = standing {
                grants.allow.extend(parse_allow_list(standing).map_err(|invalid| {
                    Fault::refused(format!("the trust store grants what is no grant: {}", invalid.message))
                })?);
            }
        }
        // The folder that the daemon follows is the operator's, as the policy is.
        _ if request.manifest.is_some() && request.folder.is_some() => {}
        // What the policy gives to a name, it gives to those whom a trusted key vouches for: names are anybody's to take.
        _ => policy.apps.clear(),
    }
    if let Some(name) = request.env.keys().find(|name| !policy.allows_variable(name)) {
        let message = format!("the host's policy does not let an app take the variable `{name}`");
        return Err(Fault::refused(message).hint("leave it out, or allow it in the policy"));
    }
    let setting = Setting { deployment: &[], folder: request.folder.as_deref() };
    decide(app, &grants, &policy, &setting).map_err(|refusals| {
        let list: Vec<String> = refusals.iter().map(|refusal| format!("\n  {refusal}")).collect();
        Fault::refused(format!("`{}` is not granted what it asks for:{}", app.name, list.concat()))
    })
}

/// Whether a trusted key vouches for an app; an error when nobody does and nobody said that this will do.
pub(crate) fn vouched(app: &App, verdict: &Verdict, request: &DeployApp) -> Result<bool, Fault> {
    let name = &app.name;
    match verdict {
        Verdict::Trusted { .. } => Ok(true),
        Verdict::Unsigned if request.allow_unsigned || request.folder.is_some() => Ok(false),
        Verdict::Unsigned => Err(Fault::refused(format!("the bundle of `{name}` is not signed"))
            .hint("sign it with `qyvol sign`, or deploy it with `--allow-unsigned`")),
        Verdict::Unbound { keys } => {
            let keys: Vec<String> = keys.iter().map(|key| key.id().to_string()).collect();
            let keys = keys.join(", ");
            Err(Fault::refused(format!(
                "`{name}` is signed by a key that you do not trust for that name: {keys}"
            ))
            .hint(format!("if you trust it: `qyvol trust add BUNDLE --name {name}`")))
        }
        Verdict::Revoked { key } => {
            Err(Fault::refused(format!("`{name}` is signed by a key that was revoked: {}", key.id()))
                .hint("ask its publisher for a bundle that is signed by a new key"))
        }
        Verdict::BadSignature { key } => Err(Fault::refused(format!(
            "`{name}` was changed after it was signed: a signature of {key} does not fit"
        ))
        .hint("fetch it again from where it came from")),
    }
}

/// What was granted before stays granted; slots that were bound anew are.
fn keep(grants: &mut Grants, before: &Grants) {
    for allow in &before.allow {
        if !grants.allow.contains(allow) {
            grants.allow.push(allow.clone());
        }
    }
    for bind in &before.bind {
        if grants.bind.iter().all(|other| other.slot != bind.slot) {
            grants.bind.push(bind.clone());
        }
    }
}

/// Services of the same deployment need no question. The answer is stored like any other: at the next start the app is on
/// its own.
fn grant_deployment(grants: &mut Grants, app: &App, deployment: &[Name]) {
    for request in app.requests().0 {
        let own = matches!(&request, Request::Service(address) if deployment.contains(&address.name));
        let granted = |allow: &Allow| grants.allow.contains(allow);
        if let Some(allow) = request.narrowest().filter(|allow| own && !granted(allow)) {
            grants.allow.push(allow);
        }
    }
}

/// The policy caps what is shown besides the manifest's mounts, and where the folders beside it really are.
fn check_shown(candidate: &Candidate, policy: &Policy) -> Result<(), Fault> {
    let shown = candidate.request.directories.iter().map(|directory| {
        let mode = if directory.read_only { Mode::ReadOnly } else { Mode::ReadWrite };
        (&directory.host, mode)
    });
    let beside = candidate.beside.iter().map(|(path, mode)| (path, *mode));
    match shown.chain(beside).find(|(path, mode)| !policy.allows_path(path, *mode)) {
        None => Ok(()),
        Some((path, _)) => {
            Err(Fault::refused(format!("the host's policy does not let an app reach `{path}`"))
                .hint("show another folder, or add it to `paths` in the policy"))
        }
    }
}

/// Whether an app keeps files in a private volume.
pub(crate) fn has_volume(app: &App) -> bool {
    app.permissions.fs == OwnFiles::ReadWrite
}

/// Refuses two apps that offer one name; `others` are those that stay as they are.
pub(crate) fn check_services(new: &[&App], others: &[&App]) -> Result<(), Fault> {
    let mut owners: BTreeMap<&Name, &Name> = BTreeMap::new();
    for app in others.iter().chain(new) {
        for service in &app.services {
            let owner = owners.entry(&service.name).or_insert(&app.name);
            if **owner != app.name {
                let message = format!("`{owner}` and `{}` both offer `service://{}`", app.name, service.name);
                return Err(Fault::new(Kind::Conflict, message)
                    .hint("give the service another name in one of them, or remove the other app"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use qyv_spec::Manifest;
    use qyv_spec::app::{Hash, PackagedFile};
    use qyv_spec::bundle::PublicKey;

    fn app(text: &str) -> App {
        let manifest = Manifest::from_yaml(&format!("entrypoint: main.wasm\n{text}"), "app.qyv").unwrap();
        let file = PackagedFile { path: "main.wasm".parse().unwrap(), size: 1, blake3: Hash([7; 32]) };
        manifest.resolve(vec![file]).unwrap()
    }

    fn key() -> PublicKey {
        let mut bytes = [0x66; 32];
        bytes[0] = 0x58;
        PublicKey::from_bytes(&bytes).unwrap()
    }

    fn trusted(grants: Option<&str>) -> Verdict {
        Verdict::Trusted { key: key(), pattern: "app".parse().unwrap(), grants: grants.map(str::to_owned) }
    }

    fn candidate(text: &str, verdict: Verdict, request: &str) -> Candidate {
        let mut request: serde_json::Value = serde_json::from_str(request).unwrap();
        request["bundle"] = "00".repeat(32).into();
        Candidate {
            app: app(text),
            module: Hash([7; 32]),
            verdict,
            request: serde_json::from_value(request).unwrap(),
            beside: Vec::new(),
        }
    }

    fn scene(policy: &Policy) -> Scene<'_> {
        Scene { policy, deployment: &[], before: None, force: false }
    }

    #[track_caller]
    fn refused(candidate: &Candidate, scene: &Scene<'_>, words: &str) {
        let fault = admit(candidate, scene).unwrap_err();
        let text = format!("{} {}", fault.message, fault.hint.unwrap_or_default());
        assert!(fault.kind == Kind::Refused && text.contains(words), "`{words}` is missing in: {text}");
    }

    #[test]
    fn only_those_run_for_whom_somebody_vouches() {
        let policy = Policy::default();
        let plain = |verdict, request| candidate("name: app\n", verdict, request);
        let scene = scene(&policy);
        assert!(!admit(&plain(trusted(None), "{}"), &scene).unwrap().allow_unsigned);
        refused(&plain(Verdict::Unsigned, "{}"), &scene, "--allow-unsigned");
        assert!(
            admit(&plain(Verdict::Unsigned, r#"{"allow_unsigned":true}"#), &scene).unwrap().allow_unsigned
        );
        assert!(admit(&plain(Verdict::Unsigned, r#"{"folder":"/srv/app"}"#), &scene).is_ok());
        // What is allowed for unsigned bundles is not for those whose signature is wrong.
        let insist = r#"{"allow_unsigned":true}"#;
        refused(&plain(Verdict::Unbound { keys: vec![key()] }, insist), &scene, "qyvol trust add");
        refused(&plain(Verdict::Revoked { key: key() }, insist), &scene, "revoked");
        refused(&plain(Verdict::BadSignature { key: key().id() }, insist), &scene, "changed after");
    }

    #[test]
    fn an_update_is_as_good_as_what_it_replaces_unless_the_operator_insists() {
        let policy = Policy::default();
        let (version, grants) = ("1.2.0".parse().unwrap(), Grants::default());
        let before = Before { version: &version, signed: true, grants: &grants };
        let scene = Scene { before: Some(before), ..scene(&policy) };
        let of = |version: &str, verdict| {
            candidate(&format!("name: app\nversion: {version}\n"), verdict, r#"{"allow_unsigned":true}"#)
        };
        assert!(admit(&of("1.2.0", trusted(None)), &scene).is_ok());
        assert!(admit(&of("1.3.0", trusted(None)), &scene).is_ok());
        refused(&of("1.1.9", trusted(None)), &scene, "--force");
        refused(&of("1.3.0", Verdict::Unsigned), &scene, "key bound to its name");
        let force = Scene { force: true, ..scene };
        assert!(admit(&of("1.1.9", trusted(None)), &force).is_ok());
        assert!(admit(&of("1.3.0", Verdict::Unsigned), &force).is_ok());
    }

    #[test]
    fn grants_come_from_the_operator_an_earlier_revision_the_key_or_the_deployment() {
        let policy = Policy::default();
        let text = "name: app\npermissions: { net: { connect: ['service://db'] } }\n";
        let plain = |verdict| candidate(text, verdict, r#"{"allow_unsigned":true}"#);
        refused(&plain(Verdict::Unsigned), &scene(&policy), "--grant service://db");
        let given = candidate(text, trusted(None), r#"{"grants":{"allow":["service://db"]}}"#);
        let given = admit(&given, &scene(&policy)).unwrap().grants;
        assert!(admit(&plain(trusted(Some("service://db"))), &scene(&policy)).is_ok());
        // Stored, so that it holds when the app starts again alone.
        let deployment = ["db".parse().unwrap()];
        let together = Scene { deployment: &deployment, ..scene(&policy) };
        assert_eq!(admit(&plain(Verdict::Unsigned), &together).unwrap().grants, given);
        // What was granted to a signed app is not handed on to an unsigned one.
        let version = "0.0.0".parse().unwrap();
        for (signed, verdict, kept) in [(true, trusted(None), true), (true, Verdict::Unsigned, false)] {
            let before = Before { version: &version, signed, grants: &given };
            let scene = Scene { before: Some(before), force: true, ..scene(&policy) };
            assert_eq!(admit(&plain(verdict), &scene).is_ok(), kept);
        }
        let more = "name: app\npermissions: { net: { connect: ['service://db', 'service://log'] } }\n";
        let more = candidate(more, trusted(None), "{}");
        let before = Before { version: &version, signed: true, grants: &given };
        refused(&more, &Scene { before: Some(before), ..scene(&policy) }, "--grant service://log");
    }

    #[test]
    fn the_policy_caps_what_was_granted() {
        let policy =
            "policy: 1\nallow: [services]\npaths: [/srv/in:ro]\napps: [{ name: app, grant: [env:KEY] }]\n";
        let policy = Policy::from_yaml_bytes(policy.as_bytes(), "policy").unwrap();
        let insist = |request: &str| candidate("name: app\n", Verdict::Unsigned, request);
        let scene = scene(&policy);
        refused(&insist(r#"{"allow_unsigned":true,"env":{"KEY":"v"}}"#), &scene, "variable `KEY`");
        let shown = |host: &str, read_only: bool| {
            let directory = format!(r#"{{"host":"{host}","guest":"/d","read_only":{read_only}}}"#);
            insist(&format!(r#"{{"allow_unsigned":true,"directories":[{directory}]}}"#))
        };
        assert!(admit(&shown("/srv/in/deep", true), &scene).is_ok());
        refused(&shown("/srv/in", false), &scene, "reach `/srv/in`");
        refused(&shown("/srv/out", true), &scene, "reach `/srv/out`");
        let beside =
            Candidate { beside: vec![("/srv/out".into(), Mode::ReadOnly)], ..insist(r#"{"folder":"/srv"}"#) };
        refused(&beside, &scene, "reach `/srv/out`");
    }

    #[test]
    fn what_workers_cannot_give_is_refused_by_name() {
        let policy = Policy::default();
        for (text, words) in [
            ("type: http\n", "listens at no address"),
            ("permissions: { ai: true }\n", "inference"),
            ("permissions: { gfx: true }\n", "window"),
        ] {
            let asks = candidate(&format!("name: app\n{text}"), trusted(Some("all")), "{}");
            refused(&asks, &scene(&policy), words);
        }
    }

    #[test]
    fn a_name_has_one_owner() {
        let offers =
            |name: &str| app(&format!("name: {name}\ntype: service\nservices: [{{ name: echo }}]\n"));
        let (a, b) = (offers("a"), offers("b"));
        assert_eq!(check_services(&[&a, &b], &[]).unwrap_err().kind, Kind::Conflict);
        assert_eq!(check_services(&[&a], &[&b]).unwrap_err().kind, Kind::Conflict);
        assert!(check_services(&[&a], &[]).is_ok());
    }
}
