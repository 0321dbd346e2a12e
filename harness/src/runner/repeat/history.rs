//! One case over all rounds: its results, and where its transcripts differ.

use std::collections::BTreeMap;

use simulated_partners::event::{ConnectionId, Event};

use crate::case::Direction;
use crate::finding::{Against, Fault};
use crate::judge::deciding_connection;
use crate::outcome::outcome_text;
use crate::record::{CaseResult, Divergence, Record, Repeated, Run};
use crate::transcript::{Detail, canonical, line};
use crate::verdict::Verdict;

/// Whether a round had no result.
const fn says_nothing(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Error | Verdict::NotRun)
}

/// What is kept of a case: at most two records and one transcript.
pub(super) struct History {
    first: Record,
    round: u32,
    transcript: Transcript,
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
            transcript: Transcript::of(first.result.case.direction, &first.result.events),
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
        let transcript = Transcript::of(record.result.case.direction, &record.result.events);
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
            Against::Outcome | Against::Requirements(_) | Against::Scenario => None,
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

/// A canonical transcript, line by line.
struct Transcript {
    lines: Vec<(ConnectionId, Box<str>)>,
    decides: Option<ConnectionId>,
}

/// The number of the event, the event in each transcript, and whether its connection decides.
type Parting = (usize, [Option<String>; 2], bool);

impl Transcript {
    fn of(direction: Direction, events: &[Event]) -> Self {
        let events = canonical(events);
        let decides = deciding_connection(direction, &events);
        let lines = events
            .iter()
            .map(|event| (event.connection, wording(event).into()))
            .collect();
        Self { lines, decides }
    }

    /// Where two transcripts differ: on the deciding connections, else anywhere.
    fn parting(&self, other: &Self) -> Option<Parting> {
        let deciding = |transcript: &Self| -> Vec<(usize, String)> {
            let mut names = Renumbered::default();
            let lines = transcript.lines.iter().enumerate();
            lines
                .filter(|(_, (connection, _))| transcript.decides == Some(*connection))
                .map(|(at, (_, text))| (at, names.line(text)))
                .collect()
        };
        let all = |transcript: &Self| -> Vec<(usize, String)> {
            let mut names: BTreeMap<ConnectionId, Renumbered> = BTreeMap::new();
            let lines = transcript.lines.iter().enumerate();
            lines
                .map(|(at, (connection, text))| {
                    let text = names.entry(*connection).or_default().line(text);
                    (at, format!("#{} {text}", connection.0))
                })
                .collect()
        };
        let of = |lines: [Vec<(usize, String)>; 2], decides: bool| {
            let [one, other] = lines;
            let at = (0..one.len().max(other.len()))
                .find(|&at| one.get(at).map(|l| &l.1) != other.get(at).map(|l| &l.1))?;
            let number = one
                .get(at)
                .or_else(|| other.get(at))
                .map_or(at, |(number, _)| *number);
            let text = |lines: &[(usize, String)]| lines.get(at).map(|(_, text)| text.clone());
            Some((number + 1, [text(&one), text(&other)], decides))
        };
        // Most transcripts are identical.
        if self.lines == other.lines {
            return None;
        }
        of([deciding(self), deciding(other)], true).or_else(|| of([all(self), all(other)], false))
    }
}

/// Placeholders numbered anew in the order of one connection: their numbers in a whole transcript depend
/// on what other connections came before it.
#[derive(Default)]
struct Renumbered(BTreeMap<String, Vec<String>>);

impl Renumbered {
    fn line(&mut self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            result.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            let (name, after) = rest.split_at(end);
            match numbered(name) {
                Some(word) => result.push_str(&self.name(word, name)),
                None => result.push_str(name),
            }
            rest = after;
        }
        result.push_str(rest);
        result
    }

    fn name(&mut self, word: &str, name: &str) -> String {
        let known = self.0.entry(word.to_owned()).or_default();
        let at = known.iter().position(|one| one == name);
        let at = at.unwrap_or_else(|| {
            known.push(name.to_owned());
            known.len() - 1
        });
        format!("{{{word}-{}}}", at + 1)
    }
}

/// The word of a placeholder such as `{id-4}`.
fn numbered(name: &str) -> Option<&str> {
    let inner = name.strip_prefix('{')?.strip_suffix('}')?;
    let (word, number) = inner.rsplit_once('-')?;
    number.parse::<u32>().ok().map(|_| word)
}

/// An event without its number and its connection's number.
fn wording(event: &Event) -> String {
    let nowhere = Event {
        connection: ConnectionId(0),
        ..event.clone()
    };
    let text = line(0, &nowhere, Detail::Full);
    text.trim_start()
        .trim_start_matches("0 #0")
        .trim_start()
        .to_owned()
}

#[cfg(test)]
mod tests {
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
    fn names_of_values_depend_on_their_own_connection_alone() {
        let mut names = Renumbered::default();
        assert_eq!(
            names.line("→ xml <a id='{id-4}' key='{key-2}' to='{port}'/>"),
            "→ xml <a id='{id-1}' key='{key-1}' to='{port}'/>"
        );
        assert_eq!(names.line("{id-7} {id-4} {open"), "{id-2} {id-1} {open");
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
