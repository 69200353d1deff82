//! What a program imports against what its manifest asks for.
//!
//! Imports tell what a program *could* do: one that opens files may never open one, and which it opens shows only when it
//! runs. So a need is worded as a possibility, and a right counts as unused only when nothing that is imported could
//! use it.

use qyv_spec::App;
use qyv_spec::manifest::OwnFiles;
use serde_json::{Value, json};

use super::scan::{Form, Scan};
use super::world::PREVIEW1;

/// Something that a program can only do with a right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// What the program could do.
    pub(crate) what: &'static str,
    /// The imports that show it.
    pub(crate) imports: Vec<String>,
    /// The lines of a manifest that ask for it, any of which may be the one.
    pub(crate) lines: &'static [&'static str],
    /// Whether the manifest has one of them; `None` without a manifest.
    pub(crate) asked: Option<bool>,
}

/// A key of the manifest that nothing uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) key: &'static str,
    pub(crate) why: &'static str,
}

impl Need {
    pub(crate) fn json(&self) -> Value {
        json!({ "what": self.what, "imports": self.imports, "manifest": self.lines, "asked": self.asked })
    }
}

impl Unused {
    pub(crate) fn json(&self) -> Value {
        json!({ "key": self.key, "why": self.why })
    }
}

/// A group of imports that one right, or one of several, answers.
struct Group {
    what: &'static str,
    functions: &'static [&'static str],
    /// Prefixes of interfaces, for components and proposals.
    interfaces: &'static [&'static str],
    lines: &'static [&'static str],
    asked: fn(&App) -> bool,
}

const FILES: Group = Group {
    what: "open and read files, and dial services",
    functions: &["path_open", "path_filestat_get", "path_readlink", "fd_readdir"],
    interfaces: &["wasi:filesystem/types@"],
    lines: &[
        "permissions: { fs: read-only }",
        "fs: { type: diskfs, mount: /in, source: \"slot:in\" }",
        "permissions: { net: { connect: [\"service://name\"] } }",
    ],
    asked: |app| {
        let asked = &app.permissions;
        let system = asked.exec.own || !asked.exec.run.is_empty() || !asked.admin.is_empty();
        asked.fs != OwnFiles::None || !app.fs.is_empty() || !asked.net.connect.is_empty() || system
    },
};

const CHANGES: Group = Group {
    what: "make, change and remove files and folders",
    functions: &[
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
        "path_rename",
        "path_link",
        "path_symlink",
        "path_filestat_set_times",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_allocate",
    ],
    interfaces: &[],
    lines: &[
        "permissions: { fs: read-write }",
        "fs: { type: diskfs, mount: /out, source: \"slot:out\", mode: read-write }",
        "fs: { type: memfs, mount: /tmp }",
    ],
    asked: |app| {
        app.permissions.fs == OwnFiles::ReadWrite
            || app.fs.iter().any(|mount| mount.mode == qyv_spec::manifest::Mode::ReadWrite)
    },
};

const ACCEPT: Group = Group {
    what: "accept connections",
    functions: &["sock_accept"],
    interfaces: &[],
    lines: &[
        "permissions: { net: { listen: [\"tcp://127.0.0.1:8080\"] } }",
        "services: [{ name: echo, proto: lines }]",
    ],
    asked: |app| !app.permissions.net.listen.is_empty() || !app.services.is_empty(),
};

const NETWORK: Group = Group {
    what: "reach the network",
    functions: &[],
    interfaces: &["wasi:sockets/tcp@", "wasi:sockets/udp@", "wasi:http/outgoing-handler@"],
    lines: &[
        "permissions: { net: { connect: [\"https://example.org\"] } }",
        "permissions: { net: { connect: [\"tcp://example.org:5432\"] } }",
        "permissions: { net: { listen: [\"tcp://127.0.0.1:8080\"] } }",
    ],
    asked: |app| {
        let net = &app.permissions.net;
        net.anywhere || !net.connect.is_empty() || !net.listen.is_empty()
    },
};

const INFERENCE: Group = Group {
    what: "run models",
    functions: &[],
    interfaces: &["wasi_ephemeral_nn", "wasi:nn/"],
    lines: &["permissions: { ai: true }"],
    asked: |app| app.permissions.ai.is_some(),
};

const SCREEN: Group = Group {
    what: "draw on a window or screen",
    functions: &[],
    interfaces: &["qyvol:gfx"],
    lines: &["permissions: { gfx: true }"],
    asked: |app| app.permissions.gfx,
};

const GROUPS: [&Group; 6] = [&FILES, &CHANGES, &ACCEPT, &NETWORK, &INFERENCE, &SCREEN];

impl Group {
    /// The imports that belong to the group.
    fn imports(&self, scan: &Scan) -> Vec<String> {
        scan.imports
            .iter()
            .filter_map(|(module, name)| {
                if module == PREVIEW1 {
                    return self.functions.contains(&name.as_str()).then(|| name.clone());
                }
                self.interfaces
                    .iter()
                    .any(|prefix| module.starts_with(prefix))
                    .then(|| if name.is_empty() { module.clone() } else { format!("{module}::{name}") })
            })
            .collect()
    }

    fn used(&self, scan: &Scan) -> bool {
        !self.imports(scan).is_empty()
    }
}

/// What the program could do that needs a right.
pub(crate) fn needs(scan: &Scan, app: Option<&App>) -> Vec<Need> {
    GROUPS
        .into_iter()
        .map(|group| Need {
            what: group.what,
            imports: group.imports(scan),
            lines: group.lines,
            asked: app.map(group.asked),
        })
        .filter(|need| !need.imports.is_empty())
        .collect()
}

/// What the manifest asks for and nothing that the program imports could use.
pub(crate) fn unused(scan: &Scan, app: &App) -> Vec<Unused> {
    let function = |name: &str| scan.names_from(PREVIEW1).any(|other| other == name);
    let interface = |prefix: &str| scan.imports.iter().any(|(module, _)| module.starts_with(prefix));
    let (files, network) = (FILES.used(scan), NETWORK.used(scan));
    // Services are dialled by opening a path, or as a host name through sockets.
    let dials = match scan.form {
        Form::Module => function("path_open"),
        Form::Component => files || network,
    };
    let accepts = ACCEPT.used(scan) || network;
    let (arguments, variables) = match scan.form {
        Form::Module => (function("args_get"), function("environ_get")),
        Form::Component => {
            let both = interface("wasi:cli/environment@");
            (both, both)
        }
    };
    let writes = CHANGES.used(scan)
        || files && (scan.form == Form::Component || function("fd_write") || function("fd_pwrite"));
    let asked = &app.permissions;
    let net = &asked.net;
    let services = !net.connect.is_empty();
    let checks = [
        ("permissions.fs", asked.fs != OwnFiles::None && !files, "it opens no files"),
        (
            "permissions.fs",
            asked.fs == OwnFiles::ReadWrite && files && !writes,
            "it writes no files; `read-only` is enough",
        ),
        ("fs", !app.fs.is_empty() && !files && !CHANGES.used(scan), "it opens no files"),
        ("permissions.net", net.anywhere && !dials, "it dials nothing"),
        ("permissions.net.connect", services && !dials, "it dials nothing"),
        ("permissions.net.listen", !net.listen.is_empty() && !accepts, "it accepts no connections"),
        ("services", !app.services.is_empty() && !accepts, "it accepts no connections"),
        (
            "permissions.ai",
            asked.ai.is_some() && !dials && !INFERENCE.used(scan),
            "it neither dials services nor runs models",
        ),
        (
            "permissions.exec",
            (asked.exec.own || !asked.exec.run.is_empty()) && !dials,
            "it dials no services, so it can start nothing",
        ),
        (
            "permissions.admin",
            !asked.admin.is_empty() && !dials,
            "it dials no services, so it can ask for nothing",
        ),
        ("permissions.gfx", asked.gfx && !SCREEN.used(scan) && !dials, "it draws nothing"),
        ("permissions.sensors", asked.sensors && !dials, "it dials no services, so it can read none"),
        ("args", !app.args.is_empty() && !arguments, "it reads no arguments"),
        ("env", !app.env.is_empty() && !variables, "it reads no environment variables"),
        ("env_from", !app.env_from.is_empty() && !variables, "it reads no environment variables"),
    ];
    checks.into_iter().filter(|(_, unused, _)| *unused).map(|(key, _, why)| Unused { key, why }).collect()
}
