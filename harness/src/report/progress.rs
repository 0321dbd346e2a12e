//! A progress bar on standard error, if it is a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::gather::Report;
use crate::console::mark::Charset;
use crate::console::words::counted;

/// Frames per second; more would slow down the run.
const REDRAWS_PER_SECOND: u8 = 15;

/// Shows the progress of a run: as a bar if standard error is a terminal and `CI` is not set, else in lines.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Whether it says how far the run is in lines, because there is no terminal for a bar.
    lines: bool,
}

impl Progress {
    /// A bar that is not drawn yet.
    pub fn new(wanted: bool, charset: Charset) -> Self {
        let shown = wanted && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let target = if shown {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(match charset {
            Charset::Unicode => style.progress_chars("━╸─"),
            Charset::Ascii => style.progress_chars("=>-"),
        });
        if shown {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self {
            bar,
            lines: wanted && !shown,
        }
    }

    /// Says in a line how far the run is, where there is no bar.
    pub fn beat(&self, report: &Report, unexpected: usize, elapsed: Duration) {
        if self.lines {
            let line = beat(report, unexpected, elapsed);
            // If nobody listens, the run goes on.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Shows the current state.
    pub fn show(&self, report: &Report, unexpected: usize) {
        self.bar.set_length(report.cases as u64);
        let done = report.repeating.map_or(report.records.len(), |r| r.done);
        self.bar.set_position(done as u64);
        let mut message = super::repetition::progress(report.repeating);
        if unexpected > 0 {
            message.push_str(&format!("{unexpected} unexpected"));
        }
        if !message.is_empty() {
            self.bar.set_message(message);
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// `after 20 s: 1204 of 6625 cases, 3 unexpected`.
fn beat(report: &Report, unexpected: usize, elapsed: Duration) -> String {
    let done = report.repeating.map_or(report.records.len(), |r| r.done);
    let round = super::repetition::progress(report.repeating);
    let mut line = format!(
        "after {} s: {round}{done} of {}",
        elapsed.as_secs(),
        counted(report.cases, "case")
    );
    if unexpected > 0 {
        line.push_str(&format!(", {unexpected} unexpected"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_beat_says_how_far_a_run_is() {
        let report = fixture::report(fixture::gather(vec![fixture::failed()], true));
        let line = beat(&report, 1, Duration::from_millis(20_400));
        assert_eq!(line, "after 20 s: 1 of 101 cases, 1 unexpected");
    }
}
