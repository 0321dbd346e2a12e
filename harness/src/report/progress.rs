//! A progress bar on standard error, if it is a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::gather::Report;
use super::mark::Charset;

/// Frames per second; more would slow down the run.
const REDRAWS_PER_SECOND: u8 = 15;

/// Shows the progress of a run. Hidden unless standard error is a terminal and `CI` is not set.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
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
        Self { bar }
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
