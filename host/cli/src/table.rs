//! Tables for people: columns that are aligned, and cut to the terminal's width.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::palette::{Depth, Tone};

/// Columns between two columns.
const GAP: usize = 2;

/// No column is cut below this, however narrow the terminal is.
const COLUMN_MIN: usize = 6;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// The head of a column.
#[derive(Debug)]
struct Column {
    title: &'static str,
    /// Numbers stand at the right.
    right: bool,
}

/// One cell.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A cell in the colour of `state`, an app's or an instance's.
    pub(crate) fn of_state(text: impl Into<String>, state: &str) -> Self {
        Self { tone: tone_of_state(state), ..Self::from(text.into()) }
    }
}

/// The tone of a state.
pub(crate) fn tone_of_state(state: &str) -> Option<Tone> {
    match state {
        "ready" | "done" => Some(Tone::Good),
        "running" | "starting" | "waiting" | "scheduled" | "stopping" => Some(Tone::Busy),
        "failed" | "crash-looping" | "backing-off" | "unhealthy" | "stuck" => Some(Tone::Bad),
        _ => None,
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        // A cell is one line, whatever the name in it is.
        let text = text.into();
        let text = if text.contains(char::is_control) {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        } else {
            text
        };
        Self { text, tone: None }
    }
}

impl Table {
    /// A table with these titles; those that begin with `>` are of columns whose cells stand at the right.
    pub(crate) fn new<const N: usize>(titles: [&'static str; N]) -> Self {
        let column = |title: &'static str| match title.strip_prefix('>') {
            Some(title) => Column { title, right: true },
            None => Column { title, right: false },
        };
        Self { head: titles.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell for each title.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.head.len());
        self.rows.push(cells.into());
    }

    /// The table as lines, at most `width` columns wide if that is possible at all.
    pub(crate) fn text(&self, width: Option<usize>, depth: Depth) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let head = self.head.iter().map(|column| (column.title, None));
        self.line(&mut text, &widths, depth, head);
        for row in &self.rows {
            let cells = row.iter().map(|cell| (cell.text.as_str(), cell.tone));
            self.line(&mut text, &widths, depth, cells);
        }
        text
    }

    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|column| column.title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(most) = most else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        // The widest gives first: names that are short stay whole.
        while widths.iter().sum::<usize>() + gaps > most {
            let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else { break };
            if *widest <= COLUMN_MIN {
                break;
            }
            *widest -= 1;
        }
        widths
    }

    fn line<'a>(
        &self,
        text: &mut String,
        widths: &[usize],
        depth: Depth,
        cells: impl Iterator<Item = (&'a str, Option<Tone>)>,
    ) {
        let last = widths.len().saturating_sub(1);
        for (number, ((cell, tone), width)) in cells.zip(widths).enumerate() {
            let cell = cut(cell, *width);
            let blank = " ".repeat(width.saturating_sub(cell.width()));
            let right = self.head.get(number).is_some_and(|column| column.right);
            if right {
                text.push_str(&blank);
            }
            match tone {
                Some(tone) => text.push_str(&tone.paint(&cell, depth)),
                None => text.push_str(&cell),
            }
            if number < last {
                if !right {
                    text.push_str(&blank);
                }
                text.push_str(&" ".repeat(GAP));
            }
        }
        text.push('\n');
    }
}

/// The text, or its beginning and `…` when it is wider.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let mut kept = String::new();
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        kept.push(character);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["NAME", ">RESTARTS", "STATUS"]);
        table.row(["logger".into(), "0".into(), Cell::of_state("ready", "ready")]);
        table.row(["漢字".into(), "12".into(), Cell::of_state("waiting for a database far away", "waiting")]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let text = "NAME    RESTARTS  STATUS
logger         0  ready
漢字          12  waiting for a database far away
";
        assert_eq!(table().text(None, Depth::Plain), text);
        assert_eq!(table().text(Some(200), Depth::Plain), text);
    }

    #[test]
    fn a_table_is_cut_to_the_width_and_no_narrower_than_it_can_be() {
        for width in 0..60 {
            let text = table().text(Some(width), Depth::Plain);
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width.max(22), "{width}:\n{text}");
        }
        let text = table().text(Some(30), Depth::Plain);
        assert!(text.contains("waiting for…"), "{text}");
    }

    #[test]
    fn colours_do_not_move_anything() {
        let (plain, coloured) =
            (table().text(Some(40), Depth::Plain), table().text(Some(40), Depth::Sixteen));
        assert!(coloured.contains("\x1b[32mready\x1b[0m"), "{coloured}");
        let stripped =
            ["\x1b[32m", "\x1b[33m", "\x1b[0m"].iter().fold(coloured, |text, one| text.replace(one, ""));
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_name_cannot_make_lines_of_its_own() {
        let mut table = Table::new(["NAME"]);
        table.row(["a\nb\x1b[2J\tc".into()]);
        assert_eq!(table.text(None, Depth::Plain), "NAME\na b [2J c\n");
    }
}
