//! Secrets: what is stored tells nothing, opens for one identity, and cannot be exchanged.

use std::os::unix::fs::PermissionsExt as _;

use qyv_spec::manifest::EnvName;
use qyvold_store::{Error, SECRET_BYTES_MAX, Secrets, StateFolder, Store};

fn name(text: &str) -> EnvName {
    text.parse().unwrap()
}

#[test]
fn a_secret_is_kept_encrypted_for_an_identity_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&folder.path().join("state")).unwrap();
    Store::open(state.disk()).unwrap();
    let identity = folder.path().join("keys/identity");
    let secrets = Secrets::open(state.disk(), &identity).unwrap();
    assert!(!identity.exists() && secrets.list().unwrap().is_empty());
    let largest = vec![7; SECRET_BYTES_MAX];
    secrets.set(&name("TOKEN"), b"hunter2").unwrap();
    secrets.set(&name("LARGE"), &largest).unwrap();
    secrets.set(&name("EMPTY"), b"").unwrap();
    assert_eq!(std::fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = std::fs::read(state.path().join("secrets/TOKEN.age")).unwrap();
    assert!(!stored.windows(7).any(|bytes| bytes == b"hunter2"));
    let again = Secrets::open(state.disk(), &identity).unwrap();
    assert_eq!(&again.get(&name("TOKEN")).unwrap()[..], b"hunter2");
    assert_eq!(&again.get(&name("LARGE")).unwrap()[..], largest);
    assert_eq!(&again.get(&name("EMPTY")).unwrap()[..], b"");
    let names: Vec<String> = again.list().unwrap().iter().map(|entry| entry.name.to_string()).collect();
    assert_eq!(names, ["EMPTY", "LARGE", "TOKEN"]);
    assert!(again.list().unwrap()[0].set > 1_600_000_000_000);
    again.set(&name("TOKEN"), b"hunter3").unwrap();
    assert_eq!(&again.get(&name("TOKEN")).unwrap()[..], b"hunter3");
    again.remove(&name("TOKEN")).unwrap();
    assert!(matches!(again.get(&name("TOKEN")), Err(Error::NotFound(_))));
    assert!(matches!(again.remove(&name("TOKEN")), Err(Error::NotFound(_))));
    let large = again.set(&name("TOKEN"), &vec![7; SECRET_BYTES_MAX + 1]);
    assert!(matches!(large, Err(Error::TooLarge { .. })));
}

#[test]
fn another_identity_opens_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::open(&folder.path().join("state")).unwrap();
    Store::open(state.disk()).unwrap();
    let identity = folder.path().join("identity");
    let secrets = Secrets::open(state.disk(), &identity).unwrap();
    secrets.set(&name("A"), b"a").unwrap();
    secrets.set(&name("B"), b"b").unwrap();

    let file = |name: &str| state.path().join(format!("secrets/{name}.age"));
    std::fs::copy(file("A"), file("B")).unwrap();
    let exchanged = secrets.get(&name("B")).unwrap_err();
    assert!(matches!(exchanged, Error::Corrupt { .. }), "{exchanged}");
    std::fs::write(file("B"), b"age-encryption.org/v1\nrubbish").unwrap();
    assert!(matches!(secrets.get(&name("B")), Err(Error::Corrupt { .. })));

    let other = Secrets::open(state.disk(), &folder.path().join("other")).unwrap();
    assert!(matches!(other.get(&name("A")), Err(Error::WrongIdentity { .. })), "there is none yet");
    other.set(&name("C"), b"c").unwrap();
    let wrong = other.get(&name("A")).unwrap_err();
    assert!(wrong.to_string().contains("give that identity back"), "{wrong}");

    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = Secrets::open(state.disk(), &identity).unwrap_err();
    assert!(open.to_string().contains("chmod 600"), "{open}");
    assert!(matches!(secrets.get(&name("A")), Err(Error::Unsafe { .. })), "it is looked at each time");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&identity, "no key").unwrap();
    assert!(matches!(secrets.set(&name("A"), b"x"), Err(Error::Corrupt { .. })));
}

#[test]
fn no_name_of_a_secret_leads_elsewhere() {
    for text in ["", "..", "a/b", ".x", "A.B", "A\0", "9", "é"] {
        assert!(text.parse::<EnvName>().is_err(), "{text:?}");
    }
}
