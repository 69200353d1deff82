//! Sizes, times and shares of a processor, as people write them. Stored as integers; a fraction that is not a whole
//! number of the smallest unit is an error, so nothing is rounded.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::Invalid;
use crate::text::text_value;

/// A number of bytes, written with its unit: `64MiB`, `1.5GiB`, `100B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time in milliseconds, written with its unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub u64);

/// A share of processors in thousandths of one: `0.5` is 500, `2` is 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpus(pub u32);

/// Largest size that a manifest may name: 8 EiB less one byte, so that it is also a valid signed offset.
pub const BYTES_MAX: u64 = i64::MAX as u64;

/// Longest time that a manifest may name, in milliseconds: ten years of 365 days.
pub const DURATION_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Most processors that a manifest may ask for, in thousandths.
pub const MILLICORES_MAX: u32 = 1024 * 1000;

type Units = &'static [(&'static str, u64)];

const BYTE_UNITS: Units = &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIME_UNITS: Units = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Bytes {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        measure(text, BYTE_UNITS, BYTES_MAX, "a size", "64MiB").map(Self)
    }
}

impl FromStr for Duration {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        measure(text, TIME_UNITS, DURATION_MS_MAX, "a time", "30s").map(Self)
    }
}

impl FromStr for Cpus {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| {
            Invalid::new(
                format!("`{}` is not a number of processors: {why}", shown(text)),
                "write a number from `0.001` to `1024`, as in `0.5`",
            )
        };
        let thousandths = decimal(text, 1000).map_err(bad)?;
        match u32::try_from(thousandths) {
            Ok(value @ 1..=MILLICORES_MAX) => Ok(Self(value)),
            Ok(0) => Err(bad("it is zero")),
            _ => Err(bad("it is too large")),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_units(f, self.0, BYTE_UNITS)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_units(f, self.0, TIME_UNITS)
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
    }
}

text_value!(Bytes, "a size such as `64MiB`", "64MiB");
text_value!(Duration, "a time such as `30s`", "30s");

impl<'de> serde::Deserialize<'de> for Cpus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Cpus;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of processors such as `0.5`")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Cpus, E> {
                format!("{value}").parse().map_err(Invalid::into_serde)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Cpus, E> {
                format!("{value}").parse().map_err(Invalid::into_serde)
            }
            // The shortest decimal that reads back as this float is the one that was written, up to 15 digits.
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Cpus, E> {
                format!("{value}").parse().map_err(Invalid::into_serde)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Cpus {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cpus".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1024, "examples": [0.5] })
    }
}

/// Reads `text` as a number and one of `units`, none of which may be left out.
fn measure(text: &str, units: Units, most: u64, what: &str, example: &str) -> Result<u64, Invalid> {
    let bad = |why: &str, mend: String| Invalid::new(format!("`{}` is not {what}: {why}", shown(text)), mend);
    let general = || format!("write a number and a unit ({}), as in `{example}`", unit_names(units));
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(bad(
            if text.starts_with('-') { "it is negative" } else { "it has no number" },
            general(),
        ));
    }
    let Some(&(_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        if unit.is_empty() {
            return Err(bad("it has no unit", general()));
        }
        let same_letters =
            |name: &str| name.eq_ignore_ascii_case(unit) || name.replace('i', "").eq_ignore_ascii_case(unit);
        let mend = match units.iter().find(|(name, _)| same_letters(name)) {
            Some((name, _)) => format!("write `{number}{name}`"),
            None => general(),
        };
        return Err(bad("its unit is unknown", mend));
    };
    let value = decimal(number, factor).map_err(|why| bad(why, general()))?;
    if value > most { Err(bad("it is too large", general())) } else { Ok(value) }
}

/// `text`, digits with at most one point between them, times `factor`; exact, or why not.
fn decimal(text: &str, factor: u64) -> Result<u64, &'static str> {
    const MALFORMED: &str = "its number is malformed";
    const TOO_LARGE: &str = "it is too large";
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.starts_with('-') {
        return Err("it is negative");
    }
    if !digits(whole) || !fraction.is_none_or(digits) || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(MALFORMED);
    }
    let fraction = fraction.unwrap_or("").trim_end_matches('0');
    if fraction.len() > 18 {
        return Err("it has too many digits");
    }
    let whole: u128 = whole.parse().map_err(|_| TOO_LARGE)?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| TOO_LARGE)?);
    let numerator = whole
        .checked_mul(scale)
        .and_then(|value| value.checked_add(fraction.parse::<u128>().unwrap_or(0)))
        .and_then(|value| value.checked_mul(u128::from(factor)))
        .ok_or(TOO_LARGE)?;
    if numerator % scale != 0 {
        return Err("it is not a whole number of the smallest unit");
    }
    u64::try_from(numerator / scale).map_err(|_| TOO_LARGE)
}

fn unit_names(units: Units) -> String {
    let mut names = String::new();
    for (name, _) in units.iter().rev() {
        if !names.is_empty() {
            names.push_str(", ");
        }
        names.push_str(name);
    }
    names
}

/// Writes `value` in the largest unit that divides it.
fn in_units(f: &mut fmt::Formatter<'_>, value: u64, units: Units) -> fmt::Result {
    let fits = |factor: u64| value != 0 && value.is_multiple_of(factor);
    let (name, factor) =
        units.iter().copied().find(|&(_, factor)| fits(factor)).or(units.last().copied()).unwrap_or(("", 1));
    write!(f, "{}{name}", value / factor)
}

/// At most 64 characters of a value, for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 64;
    if text.chars().nth(SHOWN_CHARS_MAX).is_none() {
        return text.chars().flat_map(visible).collect();
    }
    text.chars().take(SHOWN_CHARS_MAX).flat_map(visible).chain(['…']).collect()
}

/// A control character as its escape, so that a message cannot move the cursor.
fn visible(c: char) -> impl Iterator<Item = char> {
    let (escaped, plain) = if c.is_control() { (Some(c.escape_default()), None) } else { (None, Some(c)) };
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn reads_what_people_write_exactly() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("0B", 0),
            ("0.5KiB", 512),
            ("1.50KiB", 1536),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for (text, ms) in
            [("500ms", 500), ("30s", 30_000), ("1.5m", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Duration(ms)), "{text}");
        }
        for (text, cpus) in [("0.5", 500), ("2", 2000), ("0.001", 1), ("1024", MILLICORES_MAX)] {
            assert_eq!(text.parse(), Ok(Cpus(cpus)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let sizes = [
            "",
            "64",
            "64 MiB",
            " 64MiB",
            "64MiB ",
            "64MB",
            "64mib",
            "-1MiB",
            "+1MiB",
            "1e3B",
            "0.1B",
            "1..5KiB",
            ".5KiB",
            "5.KiB",
            "01KiB",
            "9EiB",
            "99999999999999999999999999999999999999999TiB",
            "8388608TiB",
            "٣MiB",
            "NaNB",
        ];
        for text in sizes {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["30", "30 s", "30sec", "-5s", "0.5ms", "1w", "3651d", "30S"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        for text in ["0", "-1", "0.0001", "1024.001", "inf", "NaN", "1e-7", "0.5 "] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }

    #[test]
    fn near_misses_name_the_right_unit() {
        assert_eq!("64MB".parse::<Bytes>().map_err(|e| e.mend), Err("write `64MiB`".to_string()));
        assert_eq!("30S".parse::<Duration>().map_err(|e| e.mend), Err("write `30s`".to_string()));
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in [0, 1, 1023, 1024, 1536, 64 << 20, BYTES_MAX] {
            assert_eq!(Bytes(value).to_string().parse(), Ok(Bytes(value)));
        }
        for value in [0, 1, 999, 1000, 90_000, DURATION_MS_MAX] {
            assert_eq!(Duration(value).to_string().parse(), Ok(Duration(value)));
        }
        for value in [1, 10, 500, 1500, 2000] {
            assert_eq!(Cpus(value).to_string().parse(), Ok(Cpus(value)));
        }
    }

    #[test]
    fn a_shown_value_is_short_and_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 65);
    }
}
