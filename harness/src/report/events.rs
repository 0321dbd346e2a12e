//! The events of a run as data, a line each, while it goes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::outcome::Outcome;
use crate::record::RunEvent;
use crate::report::gather::Tally;
use crate::verdict::Verdict;

/// The version of the format. It increases when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

#[derive(JsonSchema, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[schemars(title = "Event of s2spec")]
pub(super) enum Line<'a> {
    /// The first one.
    Started {
        schema: u32,
        tool: &'static str,
        version: &'static str,
        target: &'a str,
        cases: usize,
        controls: usize,
        seed: u64,
    },
    /// A case has ended.
    Case {
        id: &'a str,
        verdict: Verdict,
        why: &'a str,
        outcome: Option<&'a Outcome>,
        /// In microseconds.
        took_us: u64,
    },
    /// A round of `--repeat` goes on.
    Repeating {
        round: u32,
        of: Option<u32>,
        done: usize,
    },
    /// What the target does wrong whatever the case is.
    Breach { text: &'a str },
    /// What went wrong outside of a case.
    Trouble { text: &'a str },
    /// The last one.
    Ended {
        elapsed_us: u64,
        rounds: u32,
        interrupted: bool,
        /// How many cases ended with each verdict.
        summary: Tally,
    },
}

/// The events of one run as JSON, an object in a line each.
#[derive(Debug, Default)]
pub struct EventLines {
    ended: Tally,
}

impl EventLines {
    /// The next event of the run, with the end of its line.
    ///
    /// # Errors
    /// When a value has no JSON form, which is a bug in the harness.
    pub fn next(&mut self, event: &RunEvent) -> Result<String, serde_json::Error> {
        if let RunEvent::Finished(record) = event {
            self.ended.add(record);
        }
        let mut text = serde_json::to_string(&self.line(event))?;
        text.push('\n');
        Ok(text)
    }

    fn line<'a>(&self, event: &'a RunEvent) -> Line<'a> {
        match event {
            RunEvent::Started {
                target,
                cases,
                controls,
                seed,
            } => Line::Started {
                schema: SCHEMA,
                tool: "s2spec",
                version: crate::VERSION,
                target,
                cases: *cases,
                controls: *controls,
                seed: *seed,
            },
            RunEvent::Finished(record) => Line::Case {
                id: &record.result.case.id,
                verdict: record.verdict,
                why: &record.why,
                outcome: record.result.judged_outcome(),
                took_us: micros(record.result.timings.total),
            },
            RunEvent::Repeating { round, of, done } => Line::Repeating {
                round: *round,
                of: *of,
                done: *done,
            },
            RunEvent::Breach(text) => Line::Breach { text },
            RunEvent::Trouble(text) => Line::Trouble { text },
            RunEvent::Ended {
                elapsed,
                rounds,
                interrupted,
            } => Line::Ended {
                elapsed_us: micros(*elapsed),
                rounds: *rounds,
                interrupted: *interrupted,
                summary: self.ended,
            },
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn each_event_is_an_object_in_a_line() {
        let mut text = String::new();
        let mut lines = EventLines::default();
        for event in fixture::gather(vec![fixture::failed()], true) {
            text += &lines.next(&event).expect("it has a JSON form");
        }
        text += &lines
            .next(&RunEvent::Breach("nothing is\nreturned".to_owned()))
            .expect("too");
        insta::assert_snapshot!(text);
    }
}
