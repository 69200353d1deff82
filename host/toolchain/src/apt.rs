//! Packages of Debian and its kin.

use crate::run::Run;
use crate::{Error, Host, Observer, Result};

/// How long `apt-get` waits while another one is at work, in seconds.
const LOCK_SECONDS: &str = "DPkg::Lock::Timeout=300";

/// The command that installs packages, as a person types it.
pub(crate) fn line(host: &Host, packages: &[&str]) -> String {
    let list = packages.join(" ");
    if host.find("apt-get").is_none() {
        return format!("install what Debian has in the packages {list}");
    }
    let sudo = if host.is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install {list}")
}

/// Installs packages.
///
/// # Errors
///
/// When there is no `apt-get`, this process may not use it, or it fails.
pub(crate) fn install(host: &Host, packages: &[&str], observer: &mut dyn Observer) -> Result<()> {
    let by_hand =
        || Error::sources(format!("nothing here may install {}", packages.join(" ")), line(host, packages));
    let apt = host.find("apt-get").ok_or_else(by_hand)?;
    let sudo = if host.is_root() { None } else { Some(host.find("sudo").ok_or_else(by_hand)?) };
    let command = |arguments: &[&str]| {
        let run = match &sudo {
            // Through `sudo` no variable comes.
            Some(sudo) => Run::new(host, sudo).args(["env", "DEBIAN_FRONTEND=noninteractive"]).arg(&apt),
            None => Run::new(host, &apt).env("DEBIAN_FRONTEND", "noninteractive"),
        };
        run.args(["--quiet", "--yes", "-o", LOCK_SECONDS]).args(arguments)
    };
    // Lists that cannot be brought up to date may still do.
    if let Err(error) = command(&["update"]).on_terminal(observer) {
        observer.notes(&format!("{error}; going on with the lists that are here"));
    }
    let run = command(&["install", "--no-install-recommends"]).args(packages);
    let line = run.line().to_owned();
    run.on_terminal(observer).map_err(|_| Error::Install { line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Heard, machine};

    #[test]
    fn who_may_not_install_is_told_the_command() {
        for (programs, expected) in [
            (&[("apt-get", "exit 0")][..], "sudo apt-get install a b"),
            (&[], "install what Debian has in the packages a b"),
        ] {
            let (_folder, host) = machine(programs);
            let mut heard = Heard::default();
            let Err(Error::Sources { mend, .. }) = install(&host, &["a", "b"], &mut heard) else { panic!() };
            assert_eq!(mend, expected);
            assert!(heard.lines.is_empty());
        }
    }

    #[test]
    fn packages_are_installed_without_questions() {
        let (_folder, host) = machine(&[("apt-get", "exit 0"), ("sudo", "shift 2; exec \"$@\"")]);
        let mut heard = Heard::default();
        install(&host, &["a", "b"], &mut heard).unwrap();
        assert_eq!(heard.lines.len(), 2);
        assert!(heard.lines[1].contains("noninteractive") && heard.lines[1].contains("--yes"), "{heard:?}");
        assert!(heard.lines[1].ends_with("install --no-install-recommends a b"), "{heard:?}");
    }

    #[test]
    fn a_failure_names_the_command() {
        let (_folder, host) = machine(&[("apt-get", "exit 100"), ("sudo", "shift 2; exec \"$@\"")]);
        let mut heard = Heard::default();
        let Err(Error::Install { line }) = install(&host, &["a"], &mut heard) else { panic!() };
        assert!(line.ends_with(" a"), "{line}");
        assert_eq!(heard.notes.len(), 1);
    }
}
