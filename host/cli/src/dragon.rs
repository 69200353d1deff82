//! `qyvol --version` on a terminal: a small Wairon beside the version, two dots a character.

use std::io::IsTerminal as _;

use crate::output;
use crate::palette::{self, Depth, Rgb};

const GRID: &str = include_str!("../../../assets/wairon-small.txt");
/// What the letters of the grid stand for, as the grid's own head says.
const LETTERS: [(char, Rgb); 10] = [
    ('n', palette::named("[art]", "blue-night")),
    ('B', palette::named("[art]", "blue-mid")),
    ('l', palette::named("[art]", "blue-light")),
    ('V', palette::named("[art]", "violet-mid")),
    ('c', palette::named("[base]", "chrome")),
    ('C', palette::named("[art]", "chrome-white")),
    ('o', palette::named("[base]", "orange")),
    ('O', palette::named("[art]", "orange-light")),
    ('e', palette::named("[base]", "green")),
    ('E', palette::named("[art]", "green-glow")),
];

/// Shows it, if standard output is a terminal with enough colours; programs that ask get the plain line.
pub(crate) fn show() -> bool {
    let depth = Depth::of(std::io::stdout().is_terminal());
    let shown = matches!(depth, Depth::Cube | Depth::True);
    if shown {
        // A terminal that is gone needs no picture.
        let _ = output::data(&picture(depth));
    }
    shown
}

fn picture(depth: Depth) -> String {
    let rows: Vec<Vec<Option<Rgb>>> = dots().lines().map(|row| row.chars().map(colour).collect()).collect();
    let texts = [
        format!("qyvol {}", env!("CARGO_PKG_VERSION")),
        "WebAssembly apps with exactly the rights that were granted".to_owned(),
    ];
    let mut picture = String::new();
    for (number, pair) in rows.chunks(2).enumerate() {
        let [upper, lower] = pair else { continue };
        for dots in upper.iter().zip(lower) {
            picture.push_str(&match dots {
                (None, None) => " ".to_owned(),
                (Some(upper), None) => format!("\x1b[{}m▀\x1b[0m", palette::foreground(*upper, depth)),
                (None, Some(lower)) => format!("\x1b[{}m▄\x1b[0m", palette::foreground(*lower, depth)),
                (Some(upper), Some(lower)) => {
                    let (upper, lower) =
                        (palette::foreground(*upper, depth), palette::background(*lower, depth));
                    format!("\x1b[{upper};{lower}m▀\x1b[0m")
                }
            });
        }
        if let Some(text) = number.checked_sub(3).and_then(|line| texts.get(line)) {
            picture.push_str(&format!("   {}", crate::language::translated(text)));
        }
        picture.push('\n');
    }
    picture
}

/// The rows of the grid, without its head.
fn dots() -> &'static str {
    GRID.split_once("\n\n").map_or("", |(_, rows)| rows)
}

fn colour(letter: char) -> Option<Rgb> {
    LETTERS.iter().find(|(other, _)| *other == letter).map(|(_, rgb)| *rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dot_has_the_colour_that_the_grid_says() {
        let (head, rows) = GRID.split_once("\n\n").unwrap();
        let said: Vec<(char, &str)> = head
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| (line.chars().next().unwrap(), &line[2..]))
            .collect();
        assert_eq!(said.len(), LETTERS.len());
        for (letter, name) in said {
            let section = if name.contains('-') { "[art]" } else { "[base]" };
            assert_eq!(colour(letter), Some(palette::named(section, name)), "{letter} {name}");
        }
        assert!(rows.chars().all(|letter| letter == '.' || letter == '\n' || colour(letter).is_some()));
    }

    #[test]
    fn it_is_eight_lines_of_sixteen() {
        let plain: String = picture(Depth::True)
            .split("\x1b[")
            .map(|part| part.split_once('m').map_or(part, |(_, text)| text))
            .collect();
        assert_eq!(plain.lines().count(), 8);
        assert!(plain.lines().all(|line| line.chars().count() >= 16), "{plain}");
        assert!(plain.contains(concat!("qyvol ", env!("CARGO_PKG_VERSION"))), "{plain}");
    }
}
