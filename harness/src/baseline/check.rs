//! Applies a baseline to a verdict.

use time::Date;

use super::entry::{Baseline, Covers, Entry};
use super::shown::shown;
use crate::judge::verdict;
use crate::record::{BaselineMatch, CaseResult, Record};
use crate::verdict::Verdict;

/// How results are compared with a baseline.
#[derive(Clone, Debug)]
pub struct BaselineCheck {
    /// The baseline, if any.
    pub baseline: Option<Baseline>,
    /// Whether warnings count as failures.
    pub strict: bool,
    /// The day, for entries that expire.
    pub today: Date,
}

/// A verdict after the baseline, with its reason and what changed it.
type Judgement = (Verdict, String, Option<BaselineMatch>);

impl BaselineCheck {
    /// An unchanged verdict.
    pub fn none() -> Self {
        Self {
            baseline: None,
            strict: false,
            today: Date::MIN,
        }
    }

    /// Adjusts the verdict on a result:
    ///
    /// - a failure as listed becomes [`Verdict::Xfail`];
    /// - so does a case that stays undecided as listed;
    /// - a failure that is listed differently keeps its verdict, with a remark;
    /// - a listed case that does not fail becomes [`Verdict::Xpass`];
    /// - in strict mode, a warning that is not listed becomes [`Verdict::Fail`].
    ///
    /// Results that say nothing about the target, or that vary, are left alone, and expired entries
    /// do not count.
    pub fn judge(&self, result: CaseResult) -> Record {
        let (was, why) = verdict(&result);
        let (verdict, why, settled) = match (shown(&result), self.failure(was)) {
            (Some(shown), Ok(Some(failure))) => self.failed(&result, &shown, failure, was, why),
            (Some(_), Ok(None)) => self.passed(&result, was, why),
            (_, Err(SaysNothing)) | (None, _) => (was, why, None),
        };
        Record {
            result,
            verdict,
            why,
            settled,
        }
    }

    /// The kind of failure that a verdict is in this run, if any.
    fn failure(&self, verdict: Verdict) -> Result<Option<Covers>, SaysNothing> {
        match verdict {
            Verdict::Fail => Ok(Some(Covers::Fail)),
            Verdict::Undecided => Ok(Some(Covers::Undecided)),
            Verdict::Warn => Ok(self.strict.then_some(Covers::Warn)),
            Verdict::Pass | Verdict::Disputed => Ok(None),
            Verdict::Unsupported
            | Verdict::Unstable
            | Verdict::Error
            | Verdict::NotRun
            | Verdict::Xfail
            | Verdict::Xpass => Err(SaysNothing),
        }
    }

    fn passed(&self, result: &CaseResult, was: Verdict, why: String) -> Judgement {
        let listed = self.listed(&result.case.id);
        let Some((place, entry)) = listed.iter().find(|(_, entry)| !entry.expired(self.today))
        else {
            return (was, why, None);
        };
        let why = format!(
            "{place} lists it as {} with `{}`, but now it is {was}: {why}",
            entry.covers, entry.shown
        );
        (Verdict::Xpass, why, settled(was, Some(place)))
    }

    fn failed(
        &self,
        result: &CaseResult,
        shown: &str,
        failure: Covers,
        was: Verdict,
        mut why: String,
    ) -> Judgement {
        let (valid, expired): (Vec<_>, Vec<_>) = self
            .listed(&result.case.id)
            .into_iter()
            .partition(|(_, entry)| !entry.expired(self.today));
        let fits = |(_, entry): &&(String, &Entry)| entry.covers == failure && entry.shown == shown;
        if let Some((place, entry)) = valid.iter().find(fits) {
            let why = format!("{} ({place}{})", entry.why, linked(entry));
            return (Verdict::Xfail, why, settled(was, Some(place)));
        }
        let mut decided = None;
        if failure == Covers::Warn {
            why = format!("a warning, and the run is strict: {why}");
            decided = settled(was, None);
        }
        if let Some((place, entry)) = valid.first() {
            why = format!(
                "{why}; {place} lists it as {} with `{}`, but it shows `{shown}`",
                entry.covers, entry.shown
            );
        } else if let Some((place, entry)) = expired.iter().find(fits)
            && let Some(last) = entry.expires
        {
            why = format!("{why}; what {place} says of it expired on {last}");
        }
        let verdict = match failure {
            Covers::Undecided => was,
            Covers::Fail | Covers::Warn => Verdict::Fail,
        };
        (verdict, why, decided)
    }

    /// The effective entries for a case in this run, with their places.
    fn listed(&self, id: &str) -> Vec<(String, &Entry)> {
        let Some(baseline) = &self.baseline else {
            return Vec::new();
        };
        baseline
            .of(id)
            .into_iter()
            .filter(|entry| self.strict || entry.covers != Covers::Warn)
            .map(|entry| (baseline.place(entry), entry))
            .collect()
    }
}

/// A verdict that baselines do not cover.
struct SaysNothing;

fn settled(was: Verdict, place: Option<&String>) -> Option<BaselineMatch> {
    Some(BaselineMatch {
        was,
        entry: place.cloned(),
    })
}

fn linked(entry: &Entry) -> String {
    entry
        .link
        .as_ref()
        .map_or_else(String::new, |link| format!(", {link}"))
}
