//! `qyvol top`.

mod screen;
mod view;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use qyvol_protocol::api::{AppSummary, UsageRow};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::usage::Meter;
use view::{Sort, View};

/// How long between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Watch what the instances of apps use, in a table on the whole terminal
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  qyvol top
  qyvol top --sort memory

Keys: `q` ends; `n`, `c`, `m`, `r` sort by name, processor, memory, requests, and the same key again
turns the order round; the arrow keys, Page Up and Page Down move. CPU is in percent of one core.")]
pub(crate) struct Top {
    /// By what the table is sorted at first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
}

impl Top {
    pub(crate) fn execute(&self) -> Result<ExitCode> {
        if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
            return Err(Failure::usage("`top` needs a terminal").hint("`qyvol stats` shows the same as text"));
        }
        let client = Client::new()?;
        let mut top = Running { client, meter: Meter::default(), view: View::new(self.sort) };
        // What can be said without the whole terminal, before it is taken.
        top.look()?;
        // Gives the terminal back on a panic, too.
        let mut terminal = ratatui::try_init()
            .map_err(|error| Failure::own(format!("cannot draw on this terminal: {error}")))?;
        let result = top.run(&mut terminal);
        ratatui::restore();
        result.map(|()| ExitCode::SUCCESS)
    }
}

struct Running {
    client: Client,
    meter: Meter,
    view: View,
}

impl Running {
    fn look(&mut self) -> Result<()> {
        let rows: Vec<UsageRow> = self.client.get("/v1/usage")?;
        let apps: Vec<AppSummary> = self.client.get("/v1/apps")?;
        let uses = self.meter.look(rows, Instant::now());
        self.view.show(uses, apps);
        Ok(())
    }

    fn run(&mut self, terminal: &mut DefaultTerminal) -> Result<()> {
        let failed = |error: std::io::Error| Failure::own(format!("the terminal failed: {error}"));
        let mut next = Instant::now() + Duration::from_millis(300);
        loop {
            terminal.draw(|frame| screen::draw(frame, &mut self.view)).map_err(failed)?;
            let patience = next.saturating_duration_since(Instant::now());
            if event::poll(patience).map_err(failed)?
                && let Event::Key(key) = event::read().map_err(failed)?
                && self.key(key)
            {
                return Ok(());
            }
            if Instant::now() >= next {
                self.look()?;
                next = Instant::now() + PERIOD;
            }
        }
    }

    /// Does what a key says; `true` for the end.
    fn key(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('n') => self.view.sort(Sort::Name),
            KeyCode::Char('c') => self.view.sort(Sort::Cpu),
            KeyCode::Char('m') => self.view.sort(Sort::Memory),
            KeyCode::Char('r') => self.view.sort(Sort::Requests),
            KeyCode::Up => self.view.scroll(-1),
            KeyCode::Down => self.view.scroll(1),
            KeyCode::PageUp => self.view.scroll(-20),
            KeyCode::PageDown => self.view.scroll(20),
            _ => {}
        }
        false
    }
}
