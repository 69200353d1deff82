//! Drawings of dots: a text with a letter a dot.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};

use super::palette::{Colour, Palette};
use super::png::Picture;

/// A square of dots, some of them empty.
pub(crate) struct Grid {
    rows: Vec<Vec<Option<Colour>>>,
}

impl Grid {
    /// Reads letters, an empty line, and rows.
    pub(crate) fn parse(text: &str, palette: &Palette) -> Result<Self> {
        let (head, rows) =
            text.split_once("\n\n").context("no empty line between the letters and the dots")?;
        let mut letters = BTreeMap::from([('.', None)]);
        for line in head.lines().filter(|line| !line.starts_with('#')) {
            let (letter, name) = line.split_once(' ').with_context(|| format!("`{line}`: no colour"))?;
            let letter = letter.parse().with_context(|| format!("`{line}`: not one letter"))?;
            ensure!(letters.insert(letter, Some(palette.drawn(name)?)).is_none(), "`{letter}` comes twice");
        }
        let dot =
            |letter: char| letters.get(&letter).copied().with_context(|| format!("`{letter}`: no colour"));
        let rows: Vec<Vec<_>> =
            rows.lines().map(|row| row.chars().map(dot).collect()).collect::<Result<_>>()?;
        if let Some(row) = rows.iter().position(|row| row.len() != rows.len()) {
            bail!("row {} of {} has {} dots", row + 1, rows.len(), rows[row].len());
        }
        Ok(Self { rows })
    }

    /// As SVG: a rectangle for each run of dots.
    pub(crate) fn svg(&self) -> String {
        let size = self.rows.len();
        let mut paths: BTreeMap<String, String> = BTreeMap::new();
        for (y, row) in self.rows.iter().enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|one, other| one == other) {
                if let Some(colour) = run[0] {
                    let (path, width) = (paths.entry(colour.hex()).or_default(), run.len());
                    // Writing to a string cannot fail.
                    let _ = write!(path, "M{x} {y}h{width}v1h-{width}z");
                }
                x += run.len();
            }
        }
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\n"
        );
        for (colour, path) in paths {
            let _ = writeln!(svg, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
        svg + "</svg>\n"
    }

    /// As a picture of `size` pixels, a multiple of the dots.
    pub(crate) fn picture(&self, size: usize) -> Result<Picture> {
        ensure!(size.is_multiple_of(self.rows.len()), "{size} pixels are no multiple of {}", self.rows.len());
        let scale = size / self.rows.len();
        Ok(Picture::draw(size, |x, y| match self.rows[y / scale][x / scale] {
            Some(Colour([red, green, blue])) => [red, green, blue, 255],
            None => [0; 4],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Grid> {
        Grid::parse(text, &Palette::parse("[base]\nblue = \"#1E3A8A\"").unwrap())
    }

    #[test]
    fn a_dot_becomes_a_square() {
        let grid = parse("# Two dots.\nb blue\n\nbb\n..\n").unwrap();
        assert!(grid.svg().contains("<path fill=\"#1E3A8A\" d=\"M0 0h2v1h-2z\"/>"), "{}", grid.svg());
        assert!(grid.picture(4).is_ok() && grid.picture(3).is_err());
    }

    #[test]
    fn what_is_no_square_of_known_letters_is_refused() {
        for text in
            ["b blue\nb\n", "b blue\n\nbx\n..\n", "b blue\n\nbb\n", "b pink\n\nb\n", "b blue\nb blue\n\nb\n"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
