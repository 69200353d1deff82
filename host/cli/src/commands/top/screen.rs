//! How `top` is drawn.

use indicatif::BinaryBytes;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::view::{Sort, View};
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

fn draw_rows(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let most = usize::from(area.height.saturating_sub(1));
    view.offset = view.offset.min(view.rows.len().saturating_sub(most));
    let mark = |by: Sort| match (view.sort == by, view.reversed) {
        (false, _) => "",
        (true, false) => "▾",
        (true, true) => "▴",
    };
    let head = Row::new([
        left(format!("INSTANCE{}", mark(Sort::Name))),
        left("STATUS".into()),
        right(format!("CPU %{}", mark(Sort::Cpu))),
        right(format!("MEMORY{}", mark(Sort::Memory))),
        right("LIMIT".into()),
        right("FDS".into()),
        right("CONNS".into()),
        right(format!("REQ/S{}", mark(Sort::Requests))),
        right("LOG".into()),
    ])
    .style(Style::new().add_modifier(Modifier::REVERSED));
    let rows = view.rows.iter().skip(view.offset).take(most).map(|one| row(one, view));
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Length(7),
        Constraint::Length(11),
        Constraint::Length(11),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(8),
        Constraint::Length(11),
    ];
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
}

fn row<'a>(one: &Use, view: &View) -> Row<'a> {
    let app = view.apps.get(&one.row.instance.app);
    let (state, status) = app.map_or(("", "-"), |app| (app.state.as_str(), app.status.as_str()));
    let colour = match crate::table::style_of_state(state) {
        Some("32") => Style::new().fg(Color::Green),
        Some("33") => Style::new().fg(Color::Yellow),
        Some("31") => Style::new().fg(Color::Red),
        _ => Style::new(),
    };
    Row::new([
        left(one.row.instance.to_string()),
        left(status.to_owned()).style(colour),
        right(shown(one.cpu_percent)),
        right(BinaryBytes(one.row.memory).to_string()),
        right(BinaryBytes(one.row.memory_limit).to_string()),
        right(one.row.fds.to_string()),
        right(one.row.connections.to_string()),
        right(shown(one.requests_per_second)),
        right(BinaryBytes(one.row.log_bytes).to_string()),
    ])
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
