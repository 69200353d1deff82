//! Who may sign for which app.

use std::os::unix::fs::PermissionsExt as _;

use crate::desk::Desk;

fn id(desk: &Desk, key: &str) -> String {
    let public = String::from_utf8(desk.read(&format!("config/keys/{key}.pub"))).unwrap();
    let hex = public.lines().find_map(|line| line.strip_prefix("public ")).unwrap();
    qyv_spec::bundle::PublicKey::from_hex(hex).unwrap().id().to_string()
}

#[test]
fn an_unsigned_bundle_needs_the_flag() {
    let desk = Desk::with_app();
    desk.ok(&["pack", "hello.qyv"]);
    let text = "error: `hello.qyvbin` is not signed\n\
                hint: sign it with `qyvol sign hello.qyvbin`, or run it once with `--allow-unsigned`\n";
    desk.fails(&["run", "hello.qyvbin"], 126, text);
    desk.fails(&["verify", "hello.qyvbin"], 126, text);
    assert_eq!(desk.ok(&["run", "hello.qyvbin", "--allow-unsigned"]), "hello\n");
}

#[test]
fn only_a_key_that_is_bound_to_the_name_counts() {
    let desk = Desk::with_app();
    desk.ok(&["keygen"]);
    desk.ok(&["keygen", "--out", "second"]);
    desk.ok(&["pack", "hello.qyv", "--sign", "default"]);
    let unbound = |keys: &str| {
        format!(
            "error: `hello.qyvbin` is signed by a key that you do not trust for `hello`: {keys}\n\
             hint: if you trust it: `qyvol trust add hello.qyvbin --name hello`\n"
        )
    };
    let first = id(&desk, "default");
    desk.fails(&["run", "hello.qyvbin"], 126, &unbound(&first));
    // Even the flag for unsigned ones does not accept a stranger's signature.
    desk.fails(&["run", "hello.qyvbin", "--allow-unsigned"], 126, &unbound(&first));
    // Trusted, but for other apps.
    desk.ok(&["trust", "add", "default", "--name", "other-*", "--name", "hell"]);
    desk.fails(&["verify", "hello.qyvbin"], 126, &unbound(&first));
    // Another key is trusted for it.
    desk.ok(&["trust", "add", "second", "--name", "hello"]);
    desk.fails(&["verify", "hello.qyvbin"], 126, &unbound(&first));
    // It signs too: both signatures are there, one is enough.
    desk.ok(&["sign", "hello.qyvbin", "--key", "second"]);
    assert_eq!(
        desk.qyvol(&["verify", "hello.qyvbin", "--json"]).json()["signatures"].as_array().unwrap().len(),
        2
    );
    assert_eq!(desk.ok(&["run", "hello.qyvbin"]), "hello\n");
    desk.ok(&["trust", "rm", &id(&desk, "second")]);
    assert_eq!(desk.qyvol(&["run", "hello.qyvbin"]).code, 126);
}

#[test]
fn what_a_revoked_key_signed_is_refused() {
    let desk = Desk::with_trusted_bundle();
    let key = id(&desk, "default");
    desk.ok(&["trust", "revoke", &key]);
    let text = format!(
        "error: `hello.qyvbin` is signed by a key that was revoked: {key}\n\
         hint: ask its publisher for a bundle that is signed by a new key\n"
    );
    desk.fails(&["run", "hello.qyvbin"], 126, &text);
    desk.fails(&["verify", "hello.qyvbin"], 126, &text);
    // It does not come back by being added again.
    desk.fails(
        &["trust", "add", "default", "--name", "hello"],
        126,
        &format!(
            "error: key {key} was revoked\nhint: if that was a mistake: `qyvol trust rm {key}`, and add it again\n"
        ),
    );
    assert_eq!(desk.ok(&["trust", "ls"]), format!("{key}  revoked\n"));
}

#[test]
fn a_lower_version_is_refused_when_asked() {
    let desk = Desk::with_trusted_bundle();
    desk.ok(&["verify", "hello.qyvbin", "--at-least", "1.2.0"]);
    desk.fails(
        &["verify", "hello.qyvbin", "--at-least", "1.10.0"],
        126,
        "error: `hello.qyvbin` is version 1.2.0, lower than 1.10.0\n\
         hint: an old version can have known holes; `--force` accepts it\n",
    );
    desk.ok(&["verify", "hello.qyvbin", "--at-least", "1.10.0", "--force"]);
}

#[test]
fn keys_are_secret_and_never_overwritten() {
    let desk = Desk::with_app();
    desk.ok(&["keygen", "--note", "for tests"]);
    let secret = desk.path("config/keys/default.key");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&secret), mode(secret.parent().unwrap())), (0o600, 0o700));
    let before = desk.read("config/keys/default.key");
    desk.fails(
        &["keygen"],
        126,
        &format!(
            "error: `{}` exists, and a key is never overwritten\nhint: name another one with `--out`\n",
            secret.display()
        ),
    );
    assert_eq!(desk.read("config/keys/default.key"), before);
    desk.ok(&["pack", "hello.qyv"]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    desk.fails(
        &["sign", "hello.qyvbin"],
        126,
        &format!(
            "error: the secret key `{0}` can be read by others\n\
             hint: if nobody has read it: `chmod 600 {0}`; otherwise make a new one\n",
            secret.display()
        ),
    );
    // A secret key is not what others are given.
    let said = desk.qyvol(&["trust", "add", secret.to_str().unwrap(), "--name", "hello"]);
    assert!(said.code == 126 && said.err.contains("this is a secret key"), "{said:?}");
}

#[test]
fn a_key_is_known_by_file_bundle_digits_or_name() {
    let desk = Desk::with_trusted_bundle();
    let key = id(&desk, "default");
    let entry = desk.qyvol(&["trust", "ls", "--json"]).json()["keys"][0].clone();
    let whole = entry["public"].as_str().unwrap().to_owned();
    let file = desk.path("config/keys/default.pub").to_str().unwrap().to_owned();
    for form in ["hello.qyvbin", &whole, &file, "default"] {
        desk.ok(&["trust", "rm", &key]);
        desk.ok(&[
            "trust",
            "add",
            form,
            "--name",
            "hello",
            "--grant",
            "net,env:HOME",
            "--comment",
            "by phone",
        ]);
        desk.ok(&["verify", "hello.qyvbin"]);
    }
    assert_eq!(desk.ok(&["trust", "ls"]), format!("{key}  for `hello`  grants net,env:HOME  # by phone\n"));
    // More names are added to those that are there.
    desk.ok(&["trust", "add", "default", "--name", "more-*"]);
    assert!(desk.ok(&["trust", "ls"]).contains("for `hello`, `more-*`  grants net"));
    for (arguments, code) in [
        (&["trust", "rm", "0000000000000000"][..], 127),
        (&["trust", "rm", "xyz"], 2),
        (&["trust", "add", "default"], 2),
        (&["trust", "add", "default", "--name", "BAD"], 2),
        (&["trust", "add", "default", "--name", "a", "--grant", "everything"], 2),
        (&["trust", "add", "nobody", "--name", "a"], 127),
        (&["trust", "add", "default", "--name", "a", "--comment", "two\nlines"], 2),
    ] {
        assert_eq!(desk.qyvol(arguments).code, code, "{arguments:?}");
    }
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let desk = &desk;
            scope.spawn(move || {
                let name = format!("key-{number}");
                desk.ok(&["keygen", "--out", &name]);
                desk.ok(&["trust", "add", &name, "--name", "hello"]);
            });
        }
    });
    assert_eq!(desk.qyvol(&["trust", "ls", "--json"]).json()["keys"].as_array().unwrap().len(), 8);
}

#[test]
fn a_faulty_trust_store_trusts_nobody() {
    let desk = Desk::with_trusted_bundle();
    let store = String::from_utf8(desk.read("config/trust")).unwrap();
    desk.write("config/trust", format!("{store}nonsense\n"));
    for arguments in [&["run", "hello.qyvbin"][..], &["verify", "hello.qyvbin"], &["trust", "ls"]] {
        let said = desk.qyvol(arguments);
        assert_eq!(said.code, 126, "{said:?}");
        assert!(said.err.contains("line 5 of the trust store"), "{}", said.err);
    }
}

/// No app has a name with a slash yet, so a pattern with one would trust a key for nothing.
#[test]
fn a_pattern_that_matches_no_app_is_refused() {
    let desk = Desk::with_app();
    desk.ok(&["keygen"]);
    let text = "error: `acme/*` would match no app: names of apps have no publisher before a `/` yet\n\
                hint: write what the names of the publisher's apps begin with, such as `acme-*`\n";
    desk.fails(&["trust", "add", "default", "--name", "hello", "--name", "acme/*"], 2, text);
    assert!(!desk.ok(&["trust", "ls"]).contains("hello"));
}
