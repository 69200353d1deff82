//! What a program that another one starts is given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qyv_spec::manifest::{Kind, OwnFiles};
use qyv_spec::service::{Endpoint, Name, ServiceAddress};
use qyvol_protocol::system::{Child, Refused, RefusedKind, SERVICE, Told};

use super::{Answered, Asking, denied, dials_system, may_run, reach_of, refused};
use crate::overseer::Overseer;
use crate::overseer::start::mount_of;
use crate::prepare;

impl Overseer {
    /// A program of the bundle of who asks.
    pub(super) fn run_own(
        &self,
        asking: &Asking,
        program: Option<&str>,
        compile: bool,
    ) -> Result<Answered, Refused> {
        if !asking.granted.permissions.exec.own {
            let message = "not granted: to start programs of its own bundle (`permissions.exec`)".to_owned();
            return Err(denied(message, "permissions: { exec: true }".to_owned()));
        }
        let program = program.map(|path| self.packaged(&asking.own, path)).transpose()?.flatten();
        let Some(program) = program else { return Ok(Answered::Now(Told::Own(None))) };
        let told = Told::Own(Some(program.packaged));
        Ok(self.compiled(compile, program.bundle, Some(program.name), told))
    }

    /// Another app.
    pub(super) fn run_app(&self, asking: &Asking, name: &Name, compile: bool) -> Result<Answered, Refused> {
        may_run(&asking.granted, name)?;
        let revision = self.installed(name)?;
        if !matches!(revision.app.kind, Kind::Command | Kind::Service) {
            let message =
                format!("`{name}` is no program that starts and ends (`type: {}`)", revision.app.kind.word());
            return Err(refused(RefusedKind::Conflict, message));
        }
        let mine = self.reached(&revision)?;
        let granted = mine.within(&asking.granted);
        let (app, request) = (&revision.app, &asking.root.request);
        let failed = |why: String| refused(RefusedKind::Failed, why);
        // What the operator handed to the instance, as far as it was granted to all.
        let secrets = self.secrets_of(&granted, &asking.root).map_err(failed)?;
        let mut env: BTreeMap<String, String> =
            app.env.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
        for secret in &secrets {
            if let Ok(text) = String::from_utf8(secret.value.clone()) {
                env.insert(secret.name.clone(), text);
            }
        }
        let handed = |name: &String| granted.env_from.iter().any(|granted| granted.as_str() == name);
        let given = request.env.iter().filter(|(name, _)| handed(name));
        env.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        let mut mounts = Vec::new();
        for mount in &granted.mounts {
            mounts.push(mount_of(mount).map_err(failed)?);
        }
        mounts.sort_by(|a, b| a.place.as_str().cmp(b.place.as_str()));
        let mut reach = asking.reach.clone();
        reach.push(reach_of(&mine));
        // The innermost first: it is what is shown and asked for.
        reach.reverse();
        let bundle = self.bundle_path(&revision.request.bundle);
        let child = Child {
            app: name.clone(),
            bundle: bundle.clone(),
            module: revision.module,
            args: app.args.clone(),
            env: env.into_iter().collect(),
            own_files: app.permissions.fs != OwnFiles::None,
            mounts,
            secrets,
            dial: dialled(&granted.permissions),
            reach,
            limits: granted.limits,
        };
        Ok(self.compiled(compile, bundle, None, Told::Child(Box::new(child))))
    }

    /// Answers at once, or when the program is compiled.
    fn compiled(&self, compile: bool, bundle: PathBuf, program: Option<String>, told: Told) -> Answered {
        if !compile {
            return Answered::Now(told);
        }
        let options = std::sync::Arc::clone(&self.options);
        Answered::Later(Box::new(move || match prepare::compile(&options, &bundle, program.as_deref()) {
            Ok(()) => told,
            Err(why) => Told::Refused(refused(RefusedKind::Failed, why)),
        }))
    }
}

/// The services that may be dialled, the system's own among them when there is anything to ask of it.
pub(in crate::overseer) fn dialled(permissions: &qyv_spec::app::Asked) -> Vec<ServiceAddress> {
    let service = |endpoint: &Endpoint| match endpoint {
        Endpoint::Service(address) => Some(address.clone()),
        Endpoint::Host(_) => None,
    };
    let mut dial: Vec<_> = permissions.net.connect.iter().filter_map(service).collect();
    if dials_system(permissions)
        && let Ok(name) = SERVICE.parse()
    {
        dial.push(ServiceAddress { name, port: None });
    }
    dial
}
