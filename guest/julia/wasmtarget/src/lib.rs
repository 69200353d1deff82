//! How Julia prints numbers.

/// The text that `print` of Julia gives for a `Float64`: the fewest digits that read back as the same number, and an
/// exponent from a million upwards and below a ten thousandth.
#[must_use]
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Inf");
    }
    let shortest = format!("{:e}", value.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let fraction = |digits: &str| if digits.is_empty() { "0".to_owned() } else { digits.to_owned() };
    match exponent {
        0..=5 => {
            let whole = usize::try_from(exponent).unwrap_or_default();
            let digits = format!("{rest:0<whole$}");
            let (more, digits) = digits.split_at(whole);
            format!("{sign}{first}{more}.{}", fraction(digits))
        }
        -4..0 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
            format!("{sign}0.{:0<zeros$}{first}{rest}", "")
        }
        _ => format!("{sign}{first}.{}e{exponent}", fraction(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn numbers_are_printed_as_julia_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (10.0, "10.0"),
            (120.5, "120.5"),
            (100_000.0, "100000.0"),
            (123_456.789, "123456.789"),
            (999_999.9, "999999.9"),
            (1e6, "1.0e6"),
            (1_234_567.0, "1.234567e6"),
            (1e22, "1.0e22"),
            (0.5, "0.5"),
            (0.01, "0.01"),
            (0.000_123, "0.000123"),
            (0.0001, "0.0001"),
            (0.000_01, "1.0e-5"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5.0e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (std::f64::consts::PI, "3.141592653589793"),
            (f64::INFINITY, "Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }
}
