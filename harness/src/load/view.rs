//! How a load stands, on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strum::VariantArray as _;

use super::books::{Books, Phase};
use super::report::Sample;
use super::stanza::Way;
use crate::console::words::counted;

/// Lines on standard error that change, if it is a terminal and `CI` is not set. Else one line for each phase.
pub(super) struct View {
    bar: ProgressBar,
    partners: usize,
}

impl View {
    pub(super) fn new(partners: usize) -> Self {
        let shown = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let target = match shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        if shown {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self { bar, partners }
    }

    /// Shows a moment, and what has changed since the last one.
    pub(super) fn show(
        &self,
        books: &Books,
        last: Option<&Sample>,
        now: &Sample,
        left: Option<Duration>,
    ) {
        let phase = match books.phase() {
            Phase::Connecting => {
                let settled = books.settled.load(Ordering::Relaxed);
                format!(
                    "connecting: {settled} of {}",
                    counted(self.partners, "partner")
                )
            }
            Phase::WarmingUp => {
                let warmed = books.warmed.load(Ordering::Relaxed);
                format!(
                    "the target connects: to {warmed} of {}",
                    counted(self.partners, "partner")
                )
            }
            Phase::Steady => {
                let left = left.map_or(0, |left| left.as_secs());
                format!("{left} s to go")
            }
            Phase::Draining => format!("still under way: {}", counted(books.under_way(), "stanza")),
            Phase::Closing => "closing".to_owned(),
        };
        self.bar
            .set_message(format!("{phase}\n{}", figures(books, last, now)));
    }

    /// Tells of a phase where nothing is shown.
    pub(super) fn enter(&self, phase: Phase) {
        if !self.bar.is_hidden() {
            return;
        }
        let what = match phase {
            Phase::Connecting => "partners connect".to_owned(),
            Phase::WarmingUp => "the target connects to partners".to_owned(),
            Phase::Steady => "stanzas are sent".to_owned(),
            Phase::Draining => "stanzas that are under way are waited for".to_owned(),
            Phase::Closing => "connections are closed".to_owned(),
        };
        // Nobody may read it any more.
        let _ = writeln!(anstream::stderr().lock(), "{what}");
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The figures of a moment in a few lines.
fn figures(books: &Books, last: Option<&Sample>, now: &Sample) -> String {
    let passed = last.map_or(now.seconds, |last| now.seconds - last.seconds);
    let arrived = now.arrived - last.map_or(0, |last| last.arrived);
    let rate = arrived as f64 / passed.max(f64::MIN_POSITIVE);
    let errors: u64 = books.errors().values().sum();
    let connections = now.connections;
    let mut text = format!(
        "  {rate:.0} stanzas a second, {}, {}\n",
        counted(connections, "connection"),
        counted(errors, "error")
    );
    for way in Way::VARIANTS {
        let delivery = books.counts(*way).delivery.histogram();
        if !delivery.is_empty() {
            let millis = |quantile| delivery.value_at_quantile(quantile) as f64 / 1e6;
            let (half, most) = (millis(0.5), millis(0.99));
            text.push_str(&format!("  {way}: p50 {half:.2} ms, p99 {most:.2} ms\n"));
        }
    }
    if let Some(usage) = now.usage {
        let memory = usage.memory as f64 / 1024.0 / 1024.0;
        let descriptors = usage.descriptors;
        text.push_str(&format!(
            "  target: {memory:.1} MiB, {descriptors} descriptors\n"
        ));
    }
    text
}
