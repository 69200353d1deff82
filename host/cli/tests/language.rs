//! Goal: the language changes what people read, and nothing that programs do.
//! Method: the same commands in English and in Spanish.

mod sandbox;

use sandbox::{Ran, Sandbox};

const SPANISH: &str = "es_ES.UTF-8";

/// An app that is denied a file, and one that is nothing.
fn apps() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("greeting.txt", "hello\n");
    let wat = include_str!("../../../examples/hello/hello.wat");
    sandbox.module("hello.wasm", wat);
    sandbox.write(
        "hello.qyv",
        "name: hello\nentrypoint: hello.wasm\npermissions: { net: { connect: [\"https://example.org\"] } }\n",
    );
    sandbox.write("wrong.qyv", "nam: hello\nentrypoint: hello.wasm\nlimits: { memory: 12 }\n");
    sandbox.write("denied.qyv", "name: hello\nentrypoint: hello.wasm\n");
    sandbox
}

#[track_caller]
fn run(sandbox: &Sandbox, language: &str, arguments: &[&str]) -> Ran {
    Ran::of(sandbox.command().env("LANG", language).args(arguments).output().unwrap())
}

const COMMANDS: [&[&str]; 9] = [
    &["run", "denied.qyv"],
    &["run", "hello.qyv"],
    &["run", "wrong.qyv"],
    &["run", "absent.wasm"],
    &["check", "hello.qyv"],
    &["check", "wrong.qyv"],
    &["caps", "hello.wasm"],
    &["run", "--limit", "memory=12", "hello.wasm"],
    &["rum"],
];

#[test]
fn exit_codes_are_the_same_and_messages_are_not() {
    let sandbox = apps();
    for arguments in COMMANDS {
        let (english, spanish) = (run(&sandbox, "C", arguments), run(&sandbox, SPANISH, arguments));
        assert_eq!(english.code, spanish.code, "{arguments:?}");
        assert_ne!(
            (&english.stdout, &english.stderr),
            (&spanish.stdout, &spanish.stderr),
            "{arguments:?} says the same in Spanish"
        );
    }
}

#[test]
fn json_never_varies() {
    let sandbox = apps();
    for arguments in COMMANDS.into_iter().filter(|arguments| arguments.len() == 2) {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let without_time = |ran: &Ran| {
            let text = format!(
                "{}{}",
                ran.stdout,
                ran.stderr.lines().filter(|line| line.starts_with('{')).collect::<String>()
            );
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(object) = value.as_object_mut() {
                object.remove("elapsed_ms");
            }
            value
        };
        let (english, spanish) = (run(&sandbox, "C", &arguments), run(&sandbox, SPANISH, &arguments));
        assert_eq!(without_time(&english), without_time(&spanish), "{arguments:?}");
    }
    assert!(
        run(&sandbox, SPANISH, &["check", "wrong.qyv", "--json"]).json()["problems"][0]["mend"].is_string()
    );
}

#[test]
fn the_option_goes_before_the_environment() {
    let sandbox = apps();
    let spanish = run(&sandbox, "C", &["--lang", "es", "run", "absent.wasm"]);
    assert!(spanish.stderr.starts_with("error: no se puede abrir `absent.wasm`"), "{}", spanish.stderr);
    let english = run(&sandbox, SPANISH, &["run", "--lang=en", "absent.wasm"]);
    assert!(english.stderr.starts_with("error: cannot open `absent.wasm`"), "{}", english.stderr);
    assert_eq!(run(&sandbox, "C", &["--lang", "fr", "ps"]).code, Some(2));
}

#[test]
fn a_mistake_in_a_manifest_is_told_in_spanish() {
    let sandbox = apps();
    let told =
        run(&sandbox, SPANISH, &["check", "wrong.qyv"]).expect(1, &["clave desconocida `nam`", "= ayuda: "]);
    assert!(told.stderr.contains("añada una unidad, como en `12MiB`"), "{}", told.stderr);
}

#[test]
fn help_is_in_spanish_with_its_examples() {
    let sandbox = apps();
    let help = run(&sandbox, SPANISH, &["run", "--help"]).stdout;
    for word in
        ["Uso: qyvol run [OPCIONES]", "Permisos y límites:", "Ejemplos:", "ARCHIVO", "Mostrar esta ayuda"]
    {
        assert!(help.contains(word), "`{word}` is missing in:\n{help}");
    }
    let whole = run(&sandbox, SPANISH, &["--help"]).stdout;
    for word in ["Uso:", "Órdenes:", "Opciones:", "  run ", "Ejecutar una aplicación"] {
        assert!(whole.contains(word), "`{word}` is missing in:\n{whole}");
    }
    for word in ["Usage", "Options", "Commands", "Print", "Run ", "[default", "ossible values"] {
        assert!(!whole.contains(word) && !help.contains(word), "`{word}` is in:\n{whole}{help}");
    }
}

#[test]
fn an_app_is_packed_signed_and_trusted_in_spanish() {
    let sandbox = apps();
    for (arguments, said) in [
        (&["keygen"][..], "es secreta: guárdela"),
        (
            &["pack", "denied.qyv", "--sign", "default"],
            "se empaquetó `denied.qyvbin`: hello 0.0.0, 1 archivo, ",
        ),
        (&["trust", "add", "default", "--name", "hello"], "se confía en la clave "),
        (&["run", "denied.qyvbin"], "denegado: `path_open`"),
    ] {
        let told = run(&sandbox, SPANISH, arguments);
        assert!(told.stderr.contains(said), "{arguments:?}: {}", told.stderr);
    }
}
