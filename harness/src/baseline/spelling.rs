//! How an outcome and its reason are written in a baseline: in the words of the reports.
//!
//! `sasl-tls`, `stalled at connect`, `refused: stream error policy-violation at stream, ended by
//! target`; what is wrong beside the outcome follows: `tls-dialback, but no answer came back`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::case::Weight;
use crate::judge::Fault;
use crate::outcome::{Closer, Method, Outcome, Phase, Refusal, Signal, method_name};
use crate::record::Record;
use crate::requirement::RowId;

const METHODS: [Method; 3] = [Method::SaslTls, Method::TlsDialback, Method::TcpDialback];
const PHASES: [Phase; 9] = [
    Phase::Config,
    Phase::Connect,
    Phase::Stream,
    Phase::Starttls,
    Phase::Tls,
    Phase::Method,
    Phase::Sasl,
    Phase::Dialback,
    Phase::Stanza,
];
const CLOSERS: [Closer; 3] = [Closer::Target, Closer::Partner, Closer::Nobody];
/// Signals that stand for themselves.
const PLAIN: [Signal; 8] = [
    Signal::NoConnection,
    Signal::DialbackInvalid,
    Signal::TlsFailure,
    Signal::TlsBroken,
    Signal::StreamEnd,
    Signal::Fin,
    Signal::Reset,
    Signal::Silence,
];
/// What a signal begins with that carries a word from the wire.
type WithWord = (&'static str, fn(String) -> Signal);
const WITH_WORD: [WithWord; 4] = [
    ("stream error ", Signal::StreamError),
    ("SASL failure ", Signal::SaslFailure),
    ("dialback error ", Signal::DialbackError),
    ("TLS alert ", Signal::TlsAlert),
];

/// What a case showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// How it ended, and what was wrong beside that.
    Ended {
        /// How it ended.
        outcome: Outcome,
        /// What was wrong beside the outcome.
        fault: Option<Fault>,
    },
    /// Which requirements were not kept, in a case of the conformance suite.
    Broke(BTreeSet<RowId>),
}

/// What the requirements that were not kept are told by.
const BREAKS: &str = "breaks ";

impl Shown {
    /// What a result shows, if the case was run.
    pub fn of(record: &Record) -> Option<Self> {
        let heaviest = record.breaches.iter().map(|breach| breach.weight).max();
        let broken: BTreeSet<RowId> = record
            .breaches
            .iter()
            .filter(|breach| Some(breach.weight) == heaviest)
            .flat_map(|breach| &breach.rows)
            .filter_map(|row| row.parse().ok())
            .collect();
        if record.fault.is_none() && heaviest > Some(Weight::May) && !broken.is_empty() {
            return Some(Self::Broke(broken));
        }
        Some(Self::Ended {
            outcome: record.outcome.clone()?,
            fault: record.fault,
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended {
                outcome,
                fault: None,
            } => write!(to, "{outcome}"),
            Self::Ended {
                outcome,
                fault: Some(fault),
            } => write!(to, "{outcome}, but {fault}"),
            Self::Broke(rows) => {
                let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
                write!(to, "{BREAKS}{}", rows.join(", "))
            }
        }
    }
}

/// A text that is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}")]
pub struct SpellingError {
    /// What is wrong with it.
    pub wrong: String,
    /// What would be right.
    pub valid: String,
}

impl SpellingError {
    fn new(wrong: impl Into<String>, valid: impl Into<String>) -> Self {
        Self {
            wrong: wrong.into(),
            valid: valid.into(),
        }
    }
}

impl FromStr for Shown {
    type Err = SpellingError;

    fn from_str(text: &str) -> Result<Self, SpellingError> {
        if let Some(rows) = text.strip_prefix(BREAKS) {
            return broken(text, rows);
        }
        let with_fault = Fault::all().find_map(|fault| {
            let outcome = text.strip_suffix(&format!(", but {fault}"))?;
            Some((outcome, fault))
        });
        let (outcome, fault) = match with_fault {
            Some((outcome, fault)) => (outcome, Some(fault)),
            None => (text, None),
        };
        let shown = Self::Ended {
            outcome: parse_outcome(outcome)?,
            fault,
        };
        spelled(shown, text)
    }
}

/// What was read, if it is written as it has to be.
fn spelled(shown: Shown, text: &str) -> Result<Shown, SpellingError> {
    if shown.to_string() == text {
        Ok(shown)
    } else {
        Err(SpellingError::new(
            "an outcome is spelled in one way only",
            format!("write `{shown}`"),
        ))
    }
}

fn broken(text: &str, rows: &str) -> Result<Shown, SpellingError> {
    let rows = rows
        .split(',')
        .map(|row| row.trim().parse::<RowId>())
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(|error| SpellingError::new(error.to_string(), "write `breaks STR-08, STR-09`"))?;
    spelled(Shown::Broke(rows), text)
}

fn parse_outcome(text: &str) -> Result<Outcome, SpellingError> {
    if let Some(method) = METHODS.into_iter().find(|m| method_name(*m) == text) {
        return Ok(Outcome::Established(method));
    }
    if let Some(phase) = text.strip_prefix("stalled at ") {
        return Ok(Outcome::Stalled(parse_phase(phase)?));
    }
    match text.strip_prefix("refused: ") {
        Some(refusal) => Ok(Outcome::Refused(parse_refusal(refusal)?)),
        None => Err(SpellingError::new(
            format!("`{text}` is no outcome"),
            format!(
                "an outcome is {}, `stalled at PHASE` or `refused: SIGNAL at PHASE, ended by \
                 CLOSER`, each perhaps with `, but FAULT` behind it; copy what a report says \
                 after `observed`",
                either(METHODS.into_iter().map(method_name))
            ),
        )),
    }
}

fn parse_refusal(text: &str) -> Result<Refusal, SpellingError> {
    let Some((rest, closer)) = text.rsplit_once(", ended by ") else {
        return Err(SpellingError::new(
            "a refusal says who ended it",
            format!("put `, ended by CLOSER` behind it; {}", closers()),
        ));
    };
    let closer = CLOSERS
        .into_iter()
        .find(|known| known.to_string() == closer)
        .ok_or_else(|| {
            SpellingError::new(
                format!("`{closer}` is nobody who ends a case, nor a fault behind one"),
                format!(
                    "{}; a fault is {}",
                    closers(),
                    either(Fault::all().map(|fault| fault.to_string()))
                ),
            )
        })?;
    let Some((signal, phase)) = rest.rsplit_once(" at ") else {
        return Err(SpellingError::new(
            "a refusal says in which phase it came",
            format!("put ` at PHASE` before `, ended by {closer}`; {}", phases()),
        ));
    };
    Ok(Refusal {
        phase: parse_phase(phase)?,
        closer,
        signal: parse_signal(signal)?,
    })
}

fn parse_phase(text: &str) -> Result<Phase, SpellingError> {
    PHASES
        .into_iter()
        .find(|phase| phase.to_string() == text)
        .ok_or_else(|| SpellingError::new(format!("`{text}` is no phase"), phases()))
}

fn parse_signal(text: &str) -> Result<Signal, SpellingError> {
    if let Some(signal) = PLAIN.into_iter().find(|signal| signal.to_string() == text) {
        return Ok(signal);
    }
    for (prefix, signal) in WITH_WORD {
        match text.strip_prefix(prefix) {
            Some(word) if !word.contains(char::is_whitespace) => {
                return Ok(signal(word.to_owned()));
            }
            _ => {}
        }
    }
    let configuration = text
        .strip_prefix("configuration refused (")
        .and_then(|rest| rest.strip_suffix(')'));
    if let Some(why) = configuration {
        return Ok(Signal::ConfigRefused(why.to_owned()));
    }
    Err(SpellingError::new(
        format!("`{text}` is nothing that tells of a refusal"),
        format!(
            "a signal is {}, or `stream error`, `SASL failure`, `dialback error` or `TLS alert` with \
             one word behind it, or `configuration refused (WHY)`",
            either(PLAIN.iter().map(ToString::to_string))
        ),
    ))
}

fn phases() -> String {
    format!(
        "a phase is {}",
        either(PHASES.iter().map(ToString::to_string))
    )
}

fn closers() -> String {
    format!(
        "a closer is {}",
        either(CLOSERS.iter().map(ToString::to_string))
    )
}

/// `a`, `b` or `c`.
fn either(words: impl Iterator<Item = impl fmt::Display>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn signals() -> impl Strategy<Value = Signal> {
        let word = "[a-z][a-z_-]{0,20}";
        prop_oneof![
            select(PLAIN.to_vec()),
            (select(WITH_WORD.map(|(_, signal)| signal).to_vec()), word)
                .prop_map(|(signal, word)| signal(word)),
            ".{0,40}".prop_map(Signal::ConfigRefused),
            Just(Signal::StreamError(String::new())),
        ]
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let refusal = (select(PHASES.to_vec()), select(CLOSERS.to_vec()), signals()).prop_map(
            |(phase, closer, signal)| {
                Outcome::Refused(Refusal {
                    phase,
                    closer,
                    signal,
                })
            },
        );
        prop_oneof![
            select(METHODS.to_vec()).prop_map(Outcome::Established),
            select(PHASES.to_vec()).prop_map(Outcome::Stalled),
            refusal,
        ]
    }

    proptest! {
        #[test]
        fn what_a_report_says_is_read_as_it_was(
            outcome in outcomes(),
            fault in proptest::option::of(select(Fault::all().collect::<Vec<_>>())),
        ) {
            let shown = Shown::Ended { outcome, fault };
            prop_assert_eq!(shown.to_string().parse::<Shown>(), Ok(shown));
        }

        #[test]
        fn any_text_is_read_or_refused_and_never_changed(text in ".{0,80}") {
            if let Ok(shown) = text.parse::<Shown>() {
                prop_assert_eq!(shown.to_string(), text);
            }
        }
    }

    #[test]
    fn every_part_that_is_wrong_is_named_with_what_is_valid() {
        let wrong = [
            ("sasl", "`sasl` is no outcome", "`sasl-tls`"),
            ("stalled at tcp", "`tcp` is no phase", "`connect`"),
            ("refused: silence at tls", "who ended it", "`target`"),
            (
                "refused: silence, ended by target",
                "in which phase",
                "`tls`",
            ),
            (
                "refused: silence at tls, ended by me",
                "`me` is nobody who ends a case",
                "`partner`",
            ),
            (
                "refused: stream error at tls, ended by target",
                "`stream error` is nothing",
                "one word",
            ),
            (
                "refused: TLS alert bad certificate at tls, ended by target",
                "`TLS alert bad certificate` is nothing",
                "one word",
            ),
            (
                "refused: silence at tls, ended by nobody, but it rained",
                "nor a fault",
                "`no answer came back`",
            ),
        ];
        for (text, title, valid) in wrong {
            let error = text.parse::<Shown>().unwrap_err();
            assert!(error.wrong.contains(title), "{text}: {error:?}");
            assert!(error.valid.contains(valid), "{text}: {error:?}");
        }
    }
}
