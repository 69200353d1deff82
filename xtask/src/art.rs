//! `cargo xtask art`: draws the pictures of `assets/` from their sources there, which are texts.
//!
//! The same sources give the same bytes on every machine: no clock, no fonts, no arithmetic but that of IEEE 754. A
//! test compares what is committed with what the sources give.

mod deflate;
mod grid;
mod palette;
mod png;
mod trace;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::shell::root;
use grid::Grid;
use palette::Palette;
use png::Picture;
use trace::Logo;

/// Width and height of the pictures that pages show, in pixels.
const LARGE: usize = 512;
/// What an icon is looked at.
const ICON: usize = 64;

/// Draws everything.
pub(crate) fn draw() -> Result<()> {
    let folder = root().join("assets");
    for (name, bytes) in pictures(&folder)? {
        let path = folder.join(&name);
        if fs::read(&path).ok().as_ref() != Some(&bytes) {
            fs::write(&path, &bytes).with_context(|| format!("write `{}`", path.display()))?;
            println!("assets/{name}: {} bytes", bytes.len());
        }
    }
    Ok(())
}

/// All pictures, by their names.
fn pictures(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))
    };
    let palette = Palette::parse(&read("palette.toml")?)?;
    let mut made = Vec::new();
    for (name, sizes) in [("wairon", [LARGE, ICON].as_slice()), ("wairon-small", &[16])] {
        let grid = Grid::parse(&read(&format!("{name}.txt"))?, &palette)
            .with_context(|| format!("assets/{name}.txt"))?;
        made.push((format!("{name}.svg"), grid.svg().into_bytes()));
        for (position, size) in sizes.iter().enumerate() {
            let suffix = if position == 0 { String::new() } else { format!("-{size}") };
            made.push((format!("{name}{suffix}.png"), grid.picture(*size)?.png()));
        }
    }
    let logo = Logo::parse(&read("logo.txt")?, &palette).context("assets/logo.txt")?;
    for variant in &logo.variants {
        made.push((format!("logo-{}.svg", variant.name), logo.svg(variant)?.into_bytes()));
        let picture: Picture = logo.picture(variant, LARGE)?;
        made.push((format!("logo-{}.png", variant.name), picture.png()));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_what_the_sources_give() {
        let folder = root().join("assets");
        let pictures = pictures(&folder).unwrap();
        for (name, bytes) in &pictures {
            let committed = fs::read(folder.join(name)).unwrap_or_default();
            assert!(committed == *bytes, "assets/{name} is not what its source gives; run `cargo xtask art`");
        }
        for entry in fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_picture = name.ends_with(".png") || name.ends_with(".svg");
            assert!(!is_picture || pictures.iter().any(|(made, _)| *made == name), "{name} has no source");
        }
    }
}
