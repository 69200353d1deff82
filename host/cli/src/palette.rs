//! Colours of the terminal: those of `assets/palette.toml`, as far as a terminal shows them.

use std::env;

const PALETTE: &str = include_str!("../../../assets/palette.toml");
/// The section of texts on a background that nobody knows.
const SECTION: &str = "[text-on-any]";

/// What a text says by its colour; the words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Error,
    Warning,
    Hint,
    /// Of a state that is good.
    Good,
    /// Of one that will pass.
    Busy,
    /// Of one that somebody should look at.
    Bad,
}

/// How many colours a stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// None: it is no terminal, or colours are not wanted.
    Plain,
    /// Those that each terminal's owner chose.
    Sixteen,
    /// A cube of 6 by 6 by 6.
    Cube,
    /// All.
    True,
}

/// Red, green and blue, of 255.
pub(crate) type Rgb = [u8; 3];

impl Tone {
    fn rgb(self) -> Rgb {
        const DEEP: Rgb = named(SECTION, "orange-deep");
        const AMBER: Rgb = named(SECTION, "orange-amber");
        const BLUE: Rgb = named(SECTION, "blue");
        const GREEN: Rgb = named(SECTION, "green");
        match self {
            Self::Error | Self::Bad => DEEP,
            Self::Warning | Self::Busy => AMBER,
            Self::Hint => BLUE,
            Self::Good => GREEN,
        }
    }

    /// The text in this tone.
    pub(crate) fn paint(self, text: &str, depth: Depth) -> String {
        let sixteen = match self {
            Self::Error => "31;1",
            Self::Warning => "33;1",
            Self::Hint => "36;1",
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
        };
        let bold = if sixteen.ends_with(";1") { "1;" } else { "" };
        match depth {
            Depth::Plain => text.to_owned(),
            Depth::Sixteen => format!("\x1b[{sixteen}m{text}\x1b[0m"),
            Depth::Cube | Depth::True => {
                format!("\x1b[{bold}{}m{text}\x1b[0m", foreground(self.rgb(), depth))
            }
        }
    }

    /// The same for clap, where it is not what clap does of its own.
    pub(crate) fn of_clap(self, depth: Depth) -> Option<clap::builder::styling::Style> {
        use clap::builder::styling::{Ansi256Color, Color, RgbColor, Style};
        let [red, green, blue] = self.rgb();
        let colour = match depth {
            Depth::True => Color::from(RgbColor(red, green, blue)),
            Depth::Cube => Color::from(Ansi256Color(in_cube([red, green, blue]))),
            Depth::Plain | Depth::Sixteen => return None,
        };
        Some(Style::new().fg_color(Some(colour)))
    }

    /// The same for a table that ratatui draws.
    pub(crate) fn of_table(self, depth: Depth) -> Option<ratatui::style::Color> {
        use ratatui::style::Color;
        let [red, green, blue] = self.rgb();
        match (depth, self) {
            (Depth::Plain, _) => None,
            (Depth::True, _) => Some(Color::Rgb(red, green, blue)),
            (Depth::Cube, _) => Some(Color::Indexed(in_cube([red, green, blue]))),
            (Depth::Sixteen, Self::Good) => Some(Color::Green),
            (Depth::Sixteen, Self::Warning | Self::Busy) => Some(Color::Yellow),
            (Depth::Sixteen, Self::Hint) => Some(Color::Cyan),
            (Depth::Sixteen, Self::Error | Self::Bad) => Some(Color::Red),
        }
    }
}

impl Depth {
    /// What a stream shows.
    pub(crate) fn of(is_terminal: bool) -> Self {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        if is_terminal {
            Self::said(&variable("NO_COLOR"), &variable("TERM"), &variable("COLORTERM"))
        } else {
            Self::Plain
        }
    }

    /// What a terminal shows, by what its variables say.
    fn said(no_color: &str, term: &str, colorterm: &str) -> Self {
        if !no_color.is_empty() || term.is_empty() || term == "dumb" {
            Self::Plain
        } else if ["truecolor", "24bit"].contains(&colorterm) || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Cube
        } else {
            Self::Sixteen
        }
    }
}

/// The parameters that make a text this colour. With sixteen colours there is no likeness: it stays what it is.
pub(crate) fn foreground(rgb: Rgb, depth: Depth) -> String {
    parameters(38, rgb, depth)
}

/// The same for what is behind it.
pub(crate) fn background(rgb: Rgb, depth: Depth) -> String {
    parameters(48, rgb, depth)
}

fn parameters(which: u8, [red, green, blue]: Rgb, depth: Depth) -> String {
    match depth {
        Depth::True => format!("{which};2;{red};{green};{blue}"),
        _ => format!("{which};5;{}", in_cube([red, green, blue])),
    }
}

/// The colour of the cube that is nearest, by its number.
fn in_cube(rgb: Rgb) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let near = |value: u8| {
        let nearest = (0..6_u8).min_by_key(|step| STEPS[usize::from(*step)].abs_diff(value));
        nearest.unwrap_or(0)
    };
    let [red, green, blue] = rgb.map(near);
    16 + 36 * red + 6 * green + blue
}

/// A colour of the palette; what is not there does not compile.
pub(crate) const fn named(section: &str, name: &str) -> Rgb {
    let text = PALETTE.as_bytes();
    let at = find(text, section.as_bytes(), 0);
    let mut at = at + section.len();
    loop {
        // The name of this section, at the beginning of a line, whose value is a colour.
        at = find(text, name.as_bytes(), at);
        if text[at - 1] == b'\n' && text[at + name.len()] == b' ' {
            break;
        }
        at += 1;
    }
    let value = find(text, b"#", at) + 1;
    [byte(text, value), byte(text, value + 2), byte(text, value + 4)]
}

const fn find(text: &[u8], wanted: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        assert!(at + wanted.len() <= text.len(), "assets/palette.toml has no such entry");
        let mut same = 0;
        while same < wanted.len() && text[at + same] == wanted[same] {
            same += 1;
        }
        if same == wanted.len() {
            return at;
        }
        at += 1;
    }
}

const fn byte(text: &[u8], at: usize) -> u8 {
    digit(text[at]) * 16 + digit(text[at + 1])
}

const fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'F' => digit - b'A' + 10,
        _ => panic!("assets/palette.toml has no such digit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_file() {
        assert_eq!(named("[base]", "blue"), [0x1e, 0x3a, 0x8a]);
        assert_eq!(named("[base]", "green"), [0x10, 0xb9, 0x81]);
        assert_eq!(named(SECTION, "blue"), [0x3c, 0x6b, 0xef]);
        assert_eq!(named("[art]", "green-glow"), [0x7c, 0xf5, 0xcb]);
    }

    #[test]
    fn a_terminal_gets_what_it_shows() {
        for (no_color, term, colorterm, expected) in [
            ("", "xterm-256color", "truecolor", Depth::True),
            ("", "xterm-direct", "", Depth::True),
            ("", "xterm-256color", "", Depth::Cube),
            ("", "linux", "", Depth::Sixteen),
            ("", "dumb", "truecolor", Depth::Plain),
            ("", "", "truecolor", Depth::Plain),
            ("1", "xterm-256color", "truecolor", Depth::Plain),
        ] {
            assert_eq!(Depth::said(no_color, term, colorterm), expected, "{no_color} {term} {colorterm}");
        }
        assert_eq!(Depth::of(false), Depth::Plain);
    }

    #[test]
    fn a_tone_falls_back_to_sixteen_colours() {
        assert_eq!(Tone::Error.paint("error", Depth::Sixteen), "\x1b[31;1merror\x1b[0m");
        assert_eq!(Tone::Good.paint("ready", Depth::Sixteen), "\x1b[32mready\x1b[0m");
        assert_eq!(Tone::Hint.paint("hint", Depth::True), "\x1b[1;38;2;60;107;239mhint\x1b[0m");
        assert_eq!(Tone::Good.paint("ready", Depth::Cube), "\x1b[38;5;29mready\x1b[0m");
        assert_eq!(Tone::Bad.paint("failed", Depth::Plain), "failed");
    }

    #[test]
    fn the_cube_has_its_corners() {
        assert_eq!((in_cube([0; 3]), in_cube([255; 3]), in_cube([255, 0, 0])), (16, 231, 196));
    }
}
