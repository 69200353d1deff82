//! `assets/palette.toml`.

use anyhow::{Context as _, Result, bail, ensure};

/// The file's entries, in its order.
pub(crate) struct Palette {
    entries: Vec<Entry>,
}

struct Entry {
    section: String,
    name: String,
    colour: Colour,
}

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) [u8; 3]);

impl Palette {
    /// Reads the part of TOML that the file is written in: sections, and names with colours.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let mut section = String::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
                continue;
            }
            let place = || format!("assets/palette.toml:{}: write `name = \"#RRGGBB\"`", number + 1);
            let (name, value) = line.split_once(" = ").with_context(place)?;
            let value =
                value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).with_context(place)?;
            entries.push(Entry {
                section: section.clone(),
                name: name.to_owned(),
                colour: Colour::parse(value).with_context(place)?,
            });
        }
        Ok(Self { entries })
    }

    /// A colour to draw with: of the sections `base` and `art`.
    pub(crate) fn drawn(&self, name: &str) -> Result<Colour> {
        let is = |entry: &&Entry| ["base", "art"].contains(&entry.section.as_str()) && entry.name == name;
        match self.entries.iter().find(is) {
            Some(entry) => Ok(entry.colour),
            None => bail!("`{name}` is no colour of `[base]` or `[art]` in assets/palette.toml"),
        }
    }
}

impl Colour {
    fn parse(text: &str) -> Result<Self> {
        let digits = text.strip_prefix('#').context("no `#`")?;
        ensure!(digits.len() == 6 && digits.is_ascii(), "not six digits");
        let value = u32::from_str_radix(digits, 16)?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self([red, green, blue]))
    }

    /// As `#RRGGBB`.
    pub(crate) fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least contrast of text, by WCAG 2.2, 1.4.3.
    const CONTRAST_MIN: f64 = 4.5;
    /// How far the hue of a tint may be from that of its base, in degrees.
    const HUE_MAX: f64 = 15.0;
    const WHITE: Colour = Colour([255; 3]);
    const BLACK: Colour = Colour([0; 3]);

    fn palette() -> Palette {
        let path = crate::shell::root().join("assets/palette.toml");
        Palette::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Relative luminance, by WCAG 2.2.
    fn luminance(colour: Colour) -> f64 {
        let linear = colour.0.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(one: Colour, other: Colour) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// In degrees.
    fn hue(colour: Colour) -> f64 {
        let [red, green, blue] = colour.0.map(f64::from);
        let most = red.max(green).max(blue);
        let range = most - red.min(green).min(blue);
        60.0 * if range == 0.0 {
            0.0
        } else if most == red {
            ((green - blue) / range).rem_euclid(6.0)
        } else if most == green {
            (blue - red) / range + 2.0
        } else {
            (red - green) / range + 4.0
        }
    }

    #[test]
    fn contrast_is_measured_as_the_standard_says() {
        assert!((contrast(WHITE, BLACK) - 21.0).abs() < 1e-9);
        assert!((contrast(Colour::parse("#777777").unwrap(), WHITE) - 4.48).abs() < 0.01);
    }

    #[test]
    fn the_base_colours_are_those_of_the_identity() {
        let base: Vec<String> = palette()
            .entries
            .iter()
            .filter(|entry| entry.section == "base")
            .map(|entry| entry.colour.hex())
            .collect();
        assert_eq!(base, ["#1E3A8A", "#D1D5DB", "#4C1D95", "#F97316", "#10B981"]);
    }

    #[test]
    fn texts_can_be_read() {
        let palette = palette();
        let paper = |name: &str| {
            let is = |entry: &&Entry| entry.section == "paper" && entry.name == name;
            palette.entries.iter().find(is).unwrap().colour
        };
        let mut measured = 0;
        for entry in &palette.entries {
            let backgrounds = match entry.section.as_str() {
                "text-on-light" => vec![WHITE, paper("chrome-white")],
                "text-on-dark" => vec![BLACK, paper("blue-night")],
                "text-on-any" => vec![WHITE, BLACK],
                _ => continue,
            };
            for background in backgrounds {
                let contrast = contrast(entry.colour, background);
                let (section, name) = (&entry.section, &entry.name);
                assert!(
                    contrast >= CONTRAST_MIN,
                    "[{section}] {name} on {}: {contrast:.2}",
                    background.hex()
                );
                measured += 1;
            }
        }
        assert!(measured >= 30, "only {measured} pairs were measured");
    }

    #[test]
    fn tints_keep_the_hue_of_their_base() {
        let palette = palette();
        for entry in &palette.entries {
            let base = entry.name.split('-').next().unwrap();
            let difference = (hue(entry.colour) - hue(palette.drawn(base).unwrap())).abs();
            assert!(difference <= HUE_MAX, "[{}] {}: {difference:.0} degrees", entry.section, entry.name);
        }
    }

    #[test]
    fn a_line_that_is_no_colour_is_refused() {
        for line in ["blue", "blue = #000000", "blue = \"#00000\"", "blue = \"#00000g\"", "blue = \"#0é00\""]
        {
            assert!(Palette::parse(line).is_err(), "{line}");
        }
        assert!(palette().drawn("pink").is_err());
    }
}
