//! One case over all rounds: its results, and where its transcripts differ.

use crate::finding::{Against, Fault};
use crate::outcome::outcome_text;
use crate::record::{CaseResult, Divergence, NotRun, Record, Repeated, Run};
use crate::transcript::Course;
use crate::verdict::Verdict;

/// Whether a round had no result.
const fn says_nothing(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Error | Verdict::NotRun)
}

/// What is kept of a case: at most two records and one transcript.
pub(super) struct History {
    first: Record,
    round: u32,
    transcript: Course,
    runs: u32,
    /// The first record with a different result.
    other: Option<(u32, Record)>,
    /// Why a round says nothing about the target.
    error: Option<(u32, Record)>,
    ended_otherwise: u32,
    went_otherwise: u32,
    divergence: Option<Divergence>,
}

impl History {
    pub(super) fn new(first: Record, round: u32, keep_events: bool) -> Self {
        let error = says_nothing(first.verdict).then(|| (round, first.clone()));
        Self {
            transcript: Course::of(first.result.case.direction, &first.result.events),
            first: trimmed(first, keep_events),
            round,
            runs: 1,
            other: None,
            error,
            ended_otherwise: 0,
            went_otherwise: 0,
            divergence: None,
        }
    }

    pub(super) fn add(&mut self, record: Record, round: u32, keep_events: bool) {
        self.runs += 1;
        if says_nothing(record.verdict) {
            self.error.get_or_insert((round, record));
            return;
        }
        if says_nothing(self.first.verdict) {
            let error = self.error.take();
            let runs = self.runs;
            *self = Self::new(record, round, keep_events);
            (self.error, self.runs) = (error, runs);
            return;
        }
        let transcript = Course::of(record.result.case.direction, &record.result.events);
        let divergence = self.transcript.parting(&transcript);
        let same_end = record.verdict == self.first.verdict
            && record.result.judged_outcome() == self.first.result.judged_outcome()
            && faults(&record.result) == faults(&self.first.result);
        let parted = divergence.map(|(event, lines, decides)| Divergence {
            rounds: [self.round, round],
            event,
            lines,
            decides,
        });
        let was_decisive = self.divergence.as_ref().is_some_and(|d| d.decides);
        if !same_end {
            self.ended_otherwise += 1;
            if self.other.is_none() {
                // The most interesting transcripts are those of two different results.
                self.divergence = parted;
                self.other = Some((round, trimmed(record, keep_events)));
            }
        } else if let Some(parted) = parted {
            self.went_otherwise += 1;
            if self.other.is_none()
                && (self.divergence.is_none() || (parted.decides && !was_decisive))
            {
                self.divergence = Some(parted);
            }
        }
    }

    /// The combined result of all rounds so far.
    pub(super) fn result(&self) -> CaseResult {
        let (shown, unstable) = match (&self.other, &self.error) {
            (Some((round, other)), _) => self.ended_otherwise(*round, other),
            // No round came to it. One whose target was gone is an error still.
            (None, Some((_, one)))
                if says_nothing(self.first.verdict)
                    && matches!(one.result.run, Run::NotRun(NotRun::Budget(_))) =>
            {
                (one.result.clone(), None)
            }
            (None, Some((round, error))) => {
                let why = format!("in round {round} of {}: {}", self.runs, error.why);
                let failed = CaseResult {
                    run: Run::Failed(why),
                    ..error.result.clone()
                };
                (failed, None)
            }
            (None, None) if self.divergence.as_ref().is_some_and(|d| d.decides) => {
                let why = format!(
                    "the same outcome each time, but {} of {} runs took a different path",
                    self.went_otherwise, self.runs
                );
                (self.first.result.clone(), Some(why))
            }
            (None, None) => (self.first.result.clone(), None),
        };
        let repeated = (self.runs > 1).then(|| Repeated {
            runs: self.runs,
            ended_otherwise: self.ended_otherwise,
            went_otherwise: self.went_otherwise,
            divergence: self.divergence.clone(),
            unstable,
        });
        CaseResult { repeated, ..shown }
    }

    fn ended_otherwise(&self, round: u32, other: &Record) -> (CaseResult, Option<String>) {
        let words = |record: &Record| {
            let fault = faults(&record.result)
                .first()
                .map_or_else(String::new, |fault| format!(", but {fault}"));
            let outcome = outcome_text(record.result.outcome());
            format!("{} with `{outcome}{fault}`", record.verdict)
        };
        let why = format!(
            "{} of {} runs ended differently: round {} {}, round {round} {}",
            self.ended_otherwise,
            self.runs,
            self.round,
            words(&self.first),
            words(other)
        );
        let shown = if self.first.verdict == Verdict::Fail {
            &self.first
        } else {
            other
        };
        (shown.result.clone(), Some(why))
    }
}

/// Problems other than the outcome.
fn faults(result: &CaseResult) -> Vec<Fault> {
    let against = result.findings().iter().map(|finding| &finding.against);
    against
        .filter_map(|against| match against {
            Against::Fault(fault) => Some(*fault),
            Against::Outcome | Against::Requirements(_) | Against::Scenario | Against::Rule(_) => {
                None
            }
        })
        .collect()
}

/// A pass is reported without its events, unless they were requested.
fn trimmed(mut record: Record, keep_events: bool) -> Record {
    if record.verdict == Verdict::Pass && !keep_events {
        record.result.forget_events();
    }
    record
}

#[cfg(test)]
#[cfg(feature = "program")]
mod tests {
    use simulated_partners::event::{ConnectionId, Event};

    use super::*;
    use crate::outcome::{Method, Outcome};
    use crate::report::fixture;
    use crate::transcript::script;

    fn result(events: Vec<Event>) -> CaseResult {
        CaseResult {
            events,
            ..fixture::showing(Verdict::Pass)
        }
    }

    fn session(id: &str, key: &str) -> Vec<Event> {
        script::dialback_session(id, key, false)
    }

    fn after(rounds: Vec<CaseResult>) -> Record {
        let mut rounds = rounds.into_iter().map(fixture::judged);
        let mut history = History::new(rounds.next().unwrap(), 1, false);
        for (record, round) in rounds.zip(2..) {
            history.add(record, round, false);
        }
        fixture::judged(history.result())
    }

    #[test]
    fn other_ids_and_keys_are_the_same_transcript() {
        let record = after(vec![
            result(session("51d0", "abcdef0123456789")),
            result(session("a7f3", "0011223344556677")),
        ]);
        assert_eq!(record.verdict, Verdict::Pass);
        let repeated = record.result.repeated.unwrap();
        assert_eq!((repeated.runs, repeated.divergence), (2, None));
    }

    #[test]
    fn the_same_end_by_another_way_on_the_deciding_connection_is_unstable() {
        let mut other = session("51d0", "abcdef0123456789");
        let at = other
            .iter()
            .position(|event| {
                matches!(
                    event.kind,
                    simulated_partners::event::EventKind::Established(_)
                )
            })
            .unwrap();
        other.remove(at - 1);
        let record = after(vec![
            result(session("51d0", "abcdef0123456789")),
            result(other),
        ]);
        assert_eq!(record.verdict, Verdict::Unstable, "{}", record.why);
        let divergence = record.result.repeated.unwrap().divergence.unwrap();
        assert!(divergence.decides);
        assert!(divergence.lines[0].as_ref().unwrap().contains("valid"));
    }

    #[test]
    fn a_difference_on_a_further_connection_is_reported_without_changing_the_verdict() {
        let mut other = session("51d0", "abcdef0123456789");
        other.retain(|event| event.connection == ConnectionId(1));
        let record = after(vec![
            result(session("51d0", "abcdef0123456789")),
            result(other),
        ]);
        assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
        let repeated = record.result.repeated.unwrap();
        assert_eq!(repeated.went_otherwise, 1);
        let divergence = repeated.divergence.unwrap();
        assert!(!divergence.decides);
        assert!(divergence.lines[0].as_ref().unwrap().starts_with("#2"));
        assert_eq!(divergence.lines[1], None);
    }

    #[test]
    fn another_outcome_weighs_more_than_another_transcript() {
        let events = session("51d0", "abcdef0123456789");
        let mut shorter = events.clone();
        shorter.retain(|event| event.connection == ConnectionId(1));
        let other = CaseResult {
            run: Run::Ended {
                outcome: Outcome::Established(Method::SaslTls),
                findings: Vec::new(),
            },
            ..result(events.clone())
        };
        let record = after(vec![result(events), result(shorter), other]);
        assert_eq!(record.verdict, Verdict::Unstable);
        assert_eq!(
            record.why,
            "1 of 3 runs ended differently: round 1 pass with `tcp-dialback`, round 3 pass with \
             `sasl-tls`"
        );
    }

    #[test]
    fn a_round_that_the_harness_failed_in_is_an_error_and_no_instability() {
        let failed = CaseResult {
            run: Run::Failed("no port".to_owned()),
            ..result(Vec::new())
        };
        let events = session("51d0", "abcdef0123456789");
        for rounds in [
            vec![result(events.clone()), failed.clone()],
            vec![failed, result(events)],
        ] {
            let record = after(rounds);
            assert_eq!(record.verdict, Verdict::Error);
            assert!(record.why.ends_with(" of 2: no port"), "{}", record.why);
        }
    }
}
