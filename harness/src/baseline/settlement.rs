//! What a verdict becomes beside a baseline.

use time::Date;

use super::entry::{Baseline, Covers, Entry};
use super::spelling::Shown;
use crate::record::{Record, Settled};
use crate::verdict::Verdict;

/// How results are compared with what is known.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What is known, if anything.
    pub baseline: Option<Baseline>,
    /// Whether a warning is a failure.
    pub strict: bool,
    /// The day, for entries that expire.
    pub today: Date,
}

impl Settlement {
    /// One that changes nothing.
    pub fn none() -> Self {
        Self {
            baseline: None,
            strict: false,
            today: Date::MIN,
        }
    }

    /// Gives a result its last verdict:
    ///
    /// - a failure as listed becomes [`Verdict::Xfail`];
    /// - a failure that is listed, but as another one, stays what it is and says so;
    /// - a case that is listed and does not fail becomes [`Verdict::Xpass`];
    /// - where the run is strict, a warning that is not listed becomes [`Verdict::Fail`].
    ///
    /// A result that says nothing of the target, or not always the same, is left alone, and entries
    /// that have expired do not count.
    pub fn settle(&self, record: &mut Record) {
        let Some(ran) = Ran::of(record, self.strict) else {
            return;
        };
        let listed = self.listed(&record.case.id);
        let (valid, expired): (Vec<_>, Vec<_>) = listed
            .into_iter()
            .partition(|(_, entry)| !entry.expired(self.today));
        let was = record.verdict;
        let Some(failure) = ran.failure else {
            if let Some((place, entry)) = valid.first() {
                record.why = format!(
                    "{place} lists it as {} with `{}`, but now it is {}: {}",
                    entry.covers,
                    entry.shown,
                    word(was),
                    record.why
                );
                record.verdict = Verdict::Xpass;
                record.settled = Some(Settled {
                    was,
                    entry: Some(place.clone()),
                });
            }
            return;
        };
        let fits =
            |(_, entry): &&(String, &Entry)| entry.covers == failure && entry.shown == ran.shown;
        if let Some((place, entry)) = valid.iter().find(fits) {
            record.why = format!("{} ({place}{})", entry.why, linked(entry));
            record.verdict = Verdict::Xfail;
            record.settled = Some(Settled {
                was,
                entry: Some(place.clone()),
            });
            return;
        }
        if failure == Covers::Warn {
            record.why = format!("a warning, and the run is strict: {}", record.why);
            record.verdict = Verdict::Fail;
            record.settled = Some(Settled { was, entry: None });
        }
        if let Some((place, entry)) = valid.first() {
            record.why = format!(
                "{}; {place} lists it as {} with `{}`, but it shows `{}`",
                record.why, entry.covers, entry.shown, ran.shown
            );
        } else if let Some((place, entry)) = expired.iter().find(fits)
            && let Some(last) = entry.expires
        {
            record.why = format!("{}; what {place} says of it expired on {last}", record.why);
        }
    }

    /// What is listed of a case and has an effect in this run, with its place.
    fn listed(&self, id: &str) -> Vec<(String, &Entry)> {
        let Some(baseline) = &self.baseline else {
            return Vec::new();
        };
        baseline
            .of(id)
            .into_iter()
            .filter(|entry| self.strict || entry.covers == Covers::Fail)
            .map(|entry| (baseline.place(entry), entry))
            .collect()
    }
}

/// A case that ran and says something of the target.
struct Ran {
    shown: Shown,
    failure: Option<Covers>,
}

impl Ran {
    fn of(record: &Record, strict: bool) -> Option<Self> {
        let failure = match record.verdict {
            Verdict::Fail => Some(Covers::Fail),
            Verdict::Warn => strict.then_some(Covers::Warn),
            Verdict::Pass | Verdict::Disputed => None,
            Verdict::Unsupported
            | Verdict::Unstable
            | Verdict::Error
            | Verdict::Xfail
            | Verdict::Xpass => return None,
        };
        Some(Self {
            shown: Shown::of(record)?,
            failure,
        })
    }
}

fn linked(entry: &Entry) -> String {
    entry
        .link
        .as_ref()
        .map_or_else(String::new, |link| format!(", {link}"))
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Warn => "warn",
        Verdict::Disputed => "disputed",
        _ => "pass",
    }
}
