//! Names that mean on this host what they say.

use qyv_vfs::Result;

/// The name, if it is one component and this host does not take it for something else; otherwise `INVAL`, for names
/// that exist as for those that do not.
pub(super) fn component(name: &str) -> Result<&str> {
    let name = crate::sys::component::component(name)?;
    #[cfg(windows)]
    if !plain_on_windows(name) {
        return Err(qyv_vfs::Error::INVAL);
    }
    Ok(name)
}

/// Whether Windows takes the name for the file of that name, in every interface. It does not when there is
///
/// * a separator (`\`), a stream (`:`) or a pattern in it, or a character below space;
/// * a dot or a space at its end, which is left out: `secret.` is `secret`;
/// * the name of a device before the first dot, in any case and with spaces behind: `nul`, `Con.txt`, `COM1 .log`,
///   also with the superscripts that Windows takes for digits (RUSTSEC-2024-0438).
#[cfg(any(windows, test))]
fn plain_on_windows(name: &str) -> bool {
    let refused =
        |char: char| char < ' ' || matches!(char, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*');
    if name.is_empty() || name.ends_with(['.', ' ']) || name.contains(refused) {
        return false;
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let numbered = port.is_some_and(|number| {
        let mut digits = number.chars();
        let digit = digits.next().is_some_and(|digit| matches!(digit, '0'..='9' | '¹' | '²' | '³'));
        digit && digits.next().is_none()
    });
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$");
    !numbered && !device
}

#[cfg(test)]
mod tests {
    use super::plain_on_windows;

    #[test]
    fn devices_streams_and_cut_names_are_no_names_on_windows() {
        for name in [
            "con",
            "NUL",
            "nul.txt",
            "Aux.tar.gz",
            "prn ",
            "prn .txt",
            "COM1",
            "com0",
            "LPT9.log",
            "com¹",
            "LPT².x",
            "COM³ .a",
            "conin$",
            "CONOUT$.txt",
            "clock$",
            "a:b",
            "file::$DATA",
            "a\\b",
            "..\\x",
            "\\",
            "C:",
            "a/b",
            "secret.",
            "secret ",
            "secret. .",
            "...",
            " ",
            "a*",
            "a?b",
            "<",
            ">",
            "\"",
            "|",
            "a\nb",
            "\u{1}",
            "",
        ] {
            assert!(!plain_on_windows(name), "{name:?}");
        }
        for name in [
            "a",
            "con1",
            "console",
            "nul_",
            "_nul",
            "com",
            "com10",
            "com1a",
            "lpt",
            "LPT¹²",
            "auxiliary.txt",
            ".nul",
            ".hidden",
            " lead",
            "…",
            "ñ",
            "a b",
            "a.b.c",
            "x.con",
            "-rf",
            "~",
            "PROGRA~1",
            "com⁴",
        ] {
            assert!(plain_on_windows(name), "{name:?}");
        }
    }

    #[test]
    fn every_host_takes_one_component() {
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(super::component(name).is_err(), "{name:?}");
        }
        assert_eq!(super::component("a"), Ok("a"));
    }
}
