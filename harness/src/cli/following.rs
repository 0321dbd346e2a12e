//! Follows a run while it goes: shows its progress, writes its events, and ends it when it is asked to or has
//! seen enough.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::keep::Bundles;
use super::output;
use super::signal::end_wanted;
use crate::error::CliError;
use crate::record::RunEvent;
use crate::report::{EventLines, Progress, Report};
use crate::verdict::Verdict;

/// How often a run that has no progress bar says how far it is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What follows a run.
pub(super) struct Following {
    pub(super) progress: Progress,
    pub(super) events: Option<EventFile>,
    /// The number of unexpected results after which the run ends.
    pub(super) max_fail: Option<NonZeroUsize>,
    /// What writes bundles.
    pub(super) bundles: Option<Bundles>,
}

impl Following {
    /// Collects the events of a run. The first Ctrl-C asks the runner to stop, the second one does not wait
    /// for it.
    pub(super) async fn follow(
        &mut self,
        mut events: mpsc::Receiver<RunEvent>,
        interrupt: &watch::Sender<bool>,
    ) -> Report {
        let mut report = Report::default();
        let mut asked = false;
        // Without a handler, a signal ends the process at once, which is acceptable.
        let mut listening = true;
        // One future for all iterations, so a signal that arrives between two of them is not lost.
        let mut signal = std::pin::pin!(end_wanted());
        let begun = Instant::now();
        let mut heartbeat = interval_at(begun + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unexpected = 0;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => break,
                    Some(mut event) => {
                        if let (Some(bundles), RunEvent::Finished(record)) = (&mut self.bundles, &mut event) {
                            bundles.take(record, &report.target);
                        }
                        unexpected += usize::from(is_unexpected(&event));
                        self.write(&event);
                        report.take(event);
                        self.progress.show(&report, unexpected);
                        if self.max_fail.is_some_and(|max| unexpected >= max.get()) && !report.enough {
                            report.enough = true;
                            interrupt.send_replace(true);
                        }
                    }
                },
                _ = heartbeat.tick() => self.progress.beat(&report, unexpected, begun.elapsed()),
                caught = signal.as_mut(), if listening => match caught {
                    Err(_) => listening = false,
                    Ok(()) if asked => {
                        report.interrupted = true;
                        break;
                    }
                    Ok(()) => {
                        asked = true;
                        signal.set(end_wanted());
                        interrupt.send_replace(true);
                        output::note("finishing running cases; press Ctrl-C again to stop now");
                    }
                },
            }
        }
        // Ended because of its failures, unless somebody wanted that as well.
        report.interrupted &= asked || !report.enough;
        report
    }

    fn write(&mut self, event: &RunEvent) {
        if let Some(events) = &mut self.events {
            events.write(event);
        }
    }

    /// Ends the output: the report then says which cases have a bundle.
    ///
    /// # Errors
    /// When an event or a bundle could not be written.
    pub(super) fn end(self, report: &mut Report) -> Result<(), CliError> {
        self.progress.clear();
        let kept = self.bundles.map_or(Ok(()), |bundles| bundles.end(report));
        self.events.map_or(Ok(()), EventFile::end)?;
        kept
    }
}

fn is_unexpected(event: &RunEvent) -> bool {
    matches!(event, RunEvent::Finished(record)
        if record.verdict.is_unexpected() || record.verdict == Verdict::Error)
}

/// Where events go as lines of JSON.
pub(super) struct EventFile {
    name: PathBuf,
    to: Box<dyn Write>,
    lines: EventLines,
    failed: Option<io::Error>,
}

impl EventFile {
    /// Opens it before the run; `-` is standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let to: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            let failed = |e| CliError::environment(format!("cannot write {}", path.display()), e);
            Box::new(File::create(path).map_err(failed)?)
        };
        Ok(Self {
            name: path.to_owned(),
            to,
            lines: EventLines::default(),
            failed: None,
        })
    }

    /// Writes one event at once: readers follow the run. After an error no more is written.
    fn write(&mut self, event: &RunEvent) {
        if self.failed.is_some() {
            return;
        }
        let line = self.lines.next(event).map_err(io::Error::from);
        let written = line.and_then(|line| {
            self.to.write_all(line.as_bytes())?;
            self.to.flush()
        });
        self.failed = written.err();
    }

    /// A reader that went away is no error.
    fn end(self) -> Result<(), CliError> {
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let doing = format!("cannot write all events to {}", self.name.display());
                Err(CliError::environment(doing, error))
            }
            _ => Ok(()),
        }
    }
}
