//! The logo: traces, half circles and pads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};

use super::palette::{Colour, Palette};
use super::png::Picture;

/// The shapes, and the drawings that are made of them.
pub(crate) struct Logo {
    size: f64,
    shapes: Vec<(String, Shape)>,
    pub(crate) variants: Vec<Variant>,
}

/// A drawing: the colour of each role.
pub(crate) struct Variant {
    pub(crate) name: String,
    colours: BTreeMap<String, Colour>,
}

type Point = (f64, f64);

enum Shape {
    Line { width: f64, points: Vec<Point> },
    Arc { width: f64, centre: Point, radius: f64, up: bool },
    Dot { centre: Point, radius: f64 },
}

impl Logo {
    /// Reads the source, whose first lines say how it is written.
    pub(crate) fn parse(text: &str, palette: &Palette) -> Result<Self> {
        let mut logo = Self { size: 0.0, shapes: Vec::new(), variants: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            logo.take(line, palette).with_context(|| format!("`{line}`"))?;
        }
        ensure!(logo.size > 0.0, "no size");
        Ok(logo)
    }

    fn take(&mut self, line: &str, palette: &Palette) -> Result<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (role, shape) = match words.as_slice() {
            ["size", size] => {
                self.size = size.parse()?;
                return Ok(());
            }
            ["variant", name, colours @ ..] => {
                let colour = |pair: &&str| {
                    let (role, name) = pair.split_once('=').context("no `=`")?;
                    Ok((role.to_owned(), palette.drawn(name)?))
                };
                let colours = colours.iter().map(colour).collect::<Result<_>>()?;
                self.variants.push(Variant { name: (*name).to_owned(), colours });
                return Ok(());
            }
            ["line", role, width, points @ ..] if points.len() > 1 => {
                let points = points.iter().map(|text| point(text)).collect::<Result<_>>()?;
                (role, Shape::Line { width: width.parse()?, points })
            }
            ["arc", role, width, centre, radius, side @ ("up" | "down")] => {
                let (width, centre, radius) = (width.parse()?, point(centre)?, radius.parse()?);
                (role, Shape::Arc { width, centre, radius, up: *side == "up" })
            }
            ["dot", role, centre, radius] => {
                (role, Shape::Dot { centre: point(centre)?, radius: radius.parse()? })
            }
            _ => bail!("not a line of a logo"),
        };
        self.shapes.push(((*role).to_owned(), shape));
        Ok(())
    }

    /// As SVG.
    pub(crate) fn svg(&self, variant: &Variant) -> Result<String> {
        let size = self.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" fill=\"none\" \
             stroke-linecap=\"round\" stroke-linejoin=\"round\">\n"
        );
        for (role, shape) in &self.shapes {
            let colour = variant.colour(role)?.hex();
            let stroke = |width: &f64| format!("stroke=\"{colour}\" stroke-width=\"{width}\"");
            // Writing to a string cannot fail.
            let _ = match shape {
                Shape::Line { width, points } => {
                    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
                    writeln!(svg, "<polyline {} points=\"{}\"/>", stroke(width), points.join(" "))
                }
                Shape::Arc { width, centre: (x, y), radius, up } => {
                    let (from, to, sweep) = (x - radius, x + radius, u8::from(*up));
                    let path = format!("M{from} {y}A{radius} {radius} 0 0 {sweep} {to} {y}");
                    writeln!(svg, "<path {} d=\"{path}\"/>", stroke(width))
                }
                Shape::Dot { centre: (x, y), radius } => {
                    writeln!(svg, "<circle fill=\"{colour}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>")
                }
            };
        }
        Ok(svg + "</svg>\n")
    }

    /// As a picture of `size` pixels.
    pub(crate) fn picture(&self, variant: &Variant, size: usize) -> Result<Picture> {
        let shapes: Vec<(Colour, &Shape)> = self
            .shapes
            .iter()
            .map(|(role, shape)| Ok((variant.colour(role)?, shape)))
            .collect::<Result<_>>()?;
        let scale = self.size / size as f64;
        Ok(Picture::draw(size, |x, y| {
            let at = ((x as f64 + 0.5) * scale, (y as f64 + 0.5) * scale);
            shapes.iter().fold([0; 4], |below, (colour, shape)| {
                // An edge is as wide as a pixel.
                let cover = (0.5 - shape.distance(at) / scale).clamp(0.0, 1.0);
                over(below, *colour, cover)
            })
        }))
    }
}

impl Variant {
    fn colour(&self, role: &str) -> Result<Colour> {
        self.colours.get(role).copied().with_context(|| format!("`{}` has no colour for `{role}`", self.name))
    }
}

impl Shape {
    /// How far a point is from the shape's edge; negative inside.
    fn distance(&self, at: Point) -> f64 {
        match self {
            Self::Line { width, points } => {
                let parts = points.windows(2).map(|ends| to_segment(at, ends[0], ends[1]));
                parts.fold(f64::INFINITY, f64::min) - width / 2.0
            }
            Self::Arc { width, centre, radius, up } => {
                let beside = if *up { at.1 > centre.1 } else { at.1 < centre.1 };
                let distance = if beside {
                    let ends = [centre.0 - radius, centre.0 + radius];
                    ends.map(|x| length(at, (x, centre.1))).into_iter().fold(f64::INFINITY, f64::min)
                } else {
                    (length(at, *centre) - radius).abs()
                };
                distance - width / 2.0
            }
            Self::Dot { centre, radius } => length(at, *centre) - radius,
        }
    }
}

/// Not `hypot`, whose last bit differs from one C library to another.
fn length(from: Point, to: Point) -> f64 {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    (x * x + y * y).sqrt()
}

fn to_segment(at: Point, from: Point, to: Point) -> f64 {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let along = ((at.0 - from.0) * x + (at.1 - from.1) * y) / (x * x + y * y);
    let along = along.clamp(0.0, 1.0);
    length(at, (from.0 + along * x, from.1 + along * y))
}

/// A colour that covers a part of what is below.
fn over(below: [u8; 4], colour: Colour, cover: f64) -> [u8; 4] {
    let opacity = f64::from(below[3]) / 255.0;
    let sum = cover + opacity * (1.0 - cover);
    if sum == 0.0 {
        return [0; 4];
    }
    let mut result = [0, 0, 0, (sum * 255.0).round() as u8];
    for (channel, value) in colour.0.iter().enumerate() {
        let mixed = f64::from(*value) * cover + f64::from(below[channel]) * opacity * (1.0 - cover);
        result[channel] = (mixed / sum).round() as u8;
    }
    result
}

fn point(text: &str) -> Result<Point> {
    let (x, y) = text.split_once(',').context("no comma")?;
    Ok((x.parse()?, y.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_to_the_edge() {
        let line = Shape::Line { width: 2.0, points: vec![(0.0, 0.0), (4.0, 0.0)] };
        let arc = Shape::Arc { width: 2.0, centre: (0.0, 0.0), radius: 4.0, up: true };
        for (shape, at, expected) in [
            (&line, (2.0, 3.0), 2.0),
            (&line, (7.0, 0.0), 2.0),
            (&arc, (0.0, -4.0), -1.0),
            (&arc, (0.0, -7.0), 2.0),
            (&arc, (4.0, 3.0), 2.0),
        ] {
            assert!((shape.distance(at) - expected).abs() < 1e-9, "{at:?}");
        }
    }

    #[test]
    fn what_covers_wholly_hides_what_is_below() {
        assert_eq!(over([9, 9, 9, 255], Colour([1, 2, 3]), 1.0), [1, 2, 3, 255]);
        assert_eq!(over([9, 9, 9, 255], Colour([1, 2, 3]), 0.0), [9, 9, 9, 255]);
        assert_eq!(over([0; 4], Colour([1, 2, 3]), 0.5), [1, 2, 3, 128]);
    }

    #[test]
    fn a_role_without_a_colour_is_refused() {
        let palette = Palette::parse("[base]\nblue = \"#1E3A8A\"").unwrap();
        let logo = Logo::parse("size 8\nvariant a x=blue\ndot y 1,1 1\n", &palette).unwrap();
        assert!(logo.svg(&logo.variants[0]).is_err() && logo.picture(&logo.variants[0], 8).is_err());
        for line in ["circle x 1,1 1", "line x 1 1,1", "dot x 1 1", "arc x 1 1,1 1 left", "variant a x=pink"]
        {
            assert!(Logo::parse(&format!("size 8\n{line}"), &palette).is_err(), "{line}");
        }
    }
}
