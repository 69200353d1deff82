//! How `top` is drawn.

use std::io::IsTerminal as _;

use indicatif::BinaryBytes;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::view::{Sort, View};
use crate::palette::Depth;
use crate::usage::{Use, shown};

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let parts = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(summary(view)), head);
    draw_rows(frame, body, view);
    let keys = "q quit   n name   c cpu   m memory   r requests   ↑↓ move";
    frame.render_widget(Paragraph::new(Line::styled(keys, dim())), foot);
}

fn summary(view: &View) -> String {
    let ready: u32 = view.apps.values().map(|app| app.ready).sum();
    let memory: u64 = view.rows.iter().map(|one| one.row.memory).sum();
    let cpu: f64 = view.rows.iter().filter_map(|one| one.cpu_percent).sum();
    format!(
        "{} apps, {} instances, {ready} ready   cpu {cpu:.1} %   memory {}",
        view.apps.len(),
        view.rows.len(),
        BinaryBytes(memory)
    )
}

/// A column of numbers.
struct Column {
    title: &'static str,
    width: u16,
    by: Option<Sort>,
    cell: fn(&Use) -> String,
}

/// The columns of numbers, the most wanted first: a narrow terminal shows as many as it has room for.
const COLUMNS: [Column; 7] = [
    Column { title: "CPU %", width: 7, by: Some(Sort::Cpu), cell: |one| shown(one.cpu_percent) },
    Column { title: "MEMORY", width: 10, by: Some(Sort::Memory), cell: |one| bytes(one.row.memory) },
    Column { title: "REQ/S", width: 8, by: Some(Sort::Requests), cell: |one| shown(one.requests_per_second) },
    Column { title: "LIMIT", width: 10, by: None, cell: |one| bytes(one.row.memory_limit) },
    Column { title: "CONNS", width: 5, by: None, cell: |one| one.row.connections.to_string() },
    Column { title: "FDS", width: 5, by: None, cell: |one| one.row.fds.to_string() },
    Column { title: "LOG", width: 10, by: None, cell: |one| bytes(one.row.log_bytes) },
];

/// What the names and what they are at have at least, with the space between.
const WORDS_WIDTH: u16 = 36;

fn draw_rows(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let most = usize::from(area.height.saturating_sub(1));
    view.offset = view.offset.min(view.rows.len().saturating_sub(most));
    let mut left_over = area.width.saturating_sub(WORDS_WIDTH);
    let fits = |column: &&Column| match left_over.checked_sub(column.width + 1) {
        Some(less) => {
            left_over = less;
            true
        }
        None => false,
    };
    let columns: Vec<&Column> = COLUMNS.iter().take_while(fits).collect();
    let mark = |by: Option<Sort>| match (by == Some(view.sort), view.reversed) {
        (false, _) => "",
        (true, false) => "▾",
        (true, true) => "▴",
    };
    let words = [left(format!("INSTANCE{}", mark(Some(Sort::Name)))), left("STATUS".into())];
    let numbers = columns.iter().map(|column| right(format!("{}{}", column.title, mark(column.by))));
    let head =
        Row::new(words.into_iter().chain(numbers)).style(Style::new().add_modifier(Modifier::REVERSED));
    let rows = view.rows.iter().skip(view.offset).take(most).map(|one| row(one, view, &columns));
    let widths = [Constraint::Fill(2), Constraint::Fill(3)];
    let widths = widths.into_iter().chain(columns.iter().map(|column| Constraint::Length(column.width)));
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
}

fn row<'a>(one: &Use, view: &View, columns: &[&Column]) -> Row<'a> {
    let app = view.apps.get(&one.row.instance.app);
    let (state, status) = app.map_or(("", "-"), |app| (app.state.as_str(), app.status.as_str()));
    let tone = crate::table::tone_of_state(state);
    let colour = tone.and_then(|tone| tone.of_table(Depth::of(std::io::stdout().is_terminal())));
    let colour = colour.map_or_else(Style::new, |colour| Style::new().fg(colour));
    let words = [left(one.row.instance.to_string()), left(status.to_owned()).style(colour)];
    Row::new(words.into_iter().chain(columns.iter().map(|column| right((column.cell)(one)))))
}

fn bytes(number: u64) -> String {
    BinaryBytes(number).to_string()
}

fn left<'a>(text: String) -> Cell<'a> {
    Cell::new(text)
}

fn right<'a>(text: String) -> Cell<'a> {
    Cell::new(Line::raw(text).right_aligned())
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::used;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(width: u16, height: u16) -> Vec<String> {
        let mut view = View::new(Sort::Cpu);
        view.show(
            (0..50).map(|number| used(&format!("app-{number}.0@1"), f64::from(number), 1 << 20)).collect(),
            Vec::new(),
        );
        view.scroll(1000);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &mut view)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(usize::from(width)).map(<[&str]>::concat).collect()
    }

    #[test]
    fn every_size_of_a_terminal_is_drawn_and_the_names_stay() {
        let wide = drawn(110, 8);
        assert!(wide[1].contains("CPU %▾") && wide[1].contains("LOG"), "{wide:?}");
        // The end of the rows, however far somebody scrolled.
        assert!(wide[6].starts_with("app-0.0@1"), "{wide:?}");
        let narrow = drawn(50, 8);
        assert!(narrow[1].contains("CPU %▾") && !narrow[1].contains("MEMORY"), "{narrow:?}");
        assert!(narrow[6].starts_with("app-0.0@1"), "{narrow:?}");
        for (width, height) in [(1, 1), (2, 3), (10, 2), (36, 4), (300, 100)] {
            drawn(width, height);
        }
    }
}
