//! Applies a baseline to a verdict.

use std::collections::BTreeMap;

use time::Date;

use super::deviation::Deviation;
use super::entry::{Baseline, Covers, Entry, Named};
use crate::case::Case;
use crate::judge::verdict;
use crate::record::{BaselineMatch, CaseResult, Record, Run};
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
    /// Leaves every verdict as it is: no baseline, and not strict.
    pub fn none() -> Self {
        Self {
            baseline: None,
            strict: false,
            today: Date::MIN,
        }
    }

    /// Adjusts the verdict on a result:
    ///
    /// - a failure becomes [`Verdict::Xfail`] if entries list everything that decides it;
    /// - so does a case that stays undecided;
    /// - another failure keeps its verdict, with a remark where an entry lists the case by name;
    /// - a case that an entry lists by name and that does not fail becomes [`Verdict::Xpass`];
    /// - in strict mode, a warning that is not listed becomes [`Verdict::Fail`].
    ///
    /// Results that say nothing about the target, or that vary, are left alone, and expired entries
    /// do not count.
    pub fn judge(&self, result: CaseResult) -> Record {
        let (was, why) = verdict(&result);
        let (verdict, why, settled) = match self.failure(was) {
            Ok(Some(failure)) => self.failed(&result, failure, was, why),
            Ok(None) => self.passed(&result, was, why),
            Err(SaysNothing) => (was, why, None),
        };
        Record {
            result,
            verdict,
            why,
            settled,
        }
    }

    /// The entries that no case shows any more, each with its place, in a sentence. Only an entry all of whose
    /// cases were run says so.
    pub fn unneeded(&self, records: &BTreeMap<String, Record>, all: &[Case]) -> Vec<String> {
        let stale = self.stale(records, all);
        let told = |(place, entry): (String, &Entry)| {
            format!(
                "{place} lists `{}` as {} of {}, but none of these cases shows it any more",
                entry.cause, entry.cause.covers, entry.case.text
            )
        };
        stale.into_iter().map(told).collect()
    }

    /// The entries that no case shows any more, with their places.
    pub(super) fn stale(
        &self,
        records: &BTreeMap<String, Record>,
        all: &[Case],
    ) -> Vec<(String, &Entry)> {
        let shown: Vec<(&str, Vec<Deviation>)> = records
            .iter()
            .map(|(id, record)| (id.as_str(), Deviation::all(&record.result)))
            .filter(|(_, deviations)| !deviations.is_empty())
            .collect();
        let is_shown = |entry: &Entry| {
            shown.iter().any(|(id, deviations)| {
                entry.matches(id) && deviations.iter().any(|one| entry.cause.fits(one))
            })
        };
        let is_decided = |entry: &Entry| {
            let ids = all.iter().map(|case| case.id.as_str());
            let mut ran = 0;
            for id in ids.filter(|id| entry.matches(id)) {
                match records.get(id).map(|record| &record.result.run) {
                    Some(Run::Unsupported(_)) => {}
                    Some(Run::Ended { .. }) => ran += 1,
                    Some(Run::Failed(_) | Run::NotRun(_)) | None => return false,
                }
            }
            ran > 0
        };
        let entries = self.effective();
        entries
            .filter(|(_, entry)| !is_shown(entry) && is_decided(entry))
            .collect()
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
        let id = &result.case.id;
        let Some((place, entry)) = self
            .effective()
            .find(|(_, entry)| entry.names_cases() && entry.matches(id))
        else {
            return (was, why, None);
        };
        let Named { covers, .. } = entry.cause;
        let why = format!(
            "{place} lists it as {covers} with `{}`, but now it is {was}: {why}",
            entry.cause
        );
        (Verdict::Xpass, why, settled(was, Some(place)))
    }

    fn failed(
        &self,
        result: &CaseResult,
        failure: Covers,
        was: Verdict,
        mut why: String,
    ) -> Judgement {
        let id = &result.case.id;
        let mut shown = Deviation::all(result);
        shown.retain(|deviation| deviation.level == failure);
        let explains = |deviation: &Deviation| {
            self.effective()
                .find(|(_, entry)| entry.matches(id) && entry.cause.fits(deviation))
        };
        let (known, new): (Vec<_>, Vec<_>) = shown
            .iter()
            .map(|deviation| (deviation, explains(deviation)))
            .partition(|(_, entry)| entry.is_some());
        let mut entries: Vec<(String, &Entry)> =
            known.into_iter().filter_map(|(_, entry)| entry).collect();
        entries.dedup_by_key(|(place, _)| place.clone());
        if new.is_empty() && !entries.is_empty() {
            let reasons: Vec<String> = entries
                .iter()
                .map(|(place, entry)| format!("{} ({place}{})", entry.why, linked(entry)))
                .collect();
            let places: Vec<String> = entries.into_iter().map(|(place, _)| place).collect();
            let settled = settled(was, Some(places.join(", ")));
            return (Verdict::Xfail, reasons.join("; "), settled);
        }
        let mut decided = None;
        if failure == Covers::Warn {
            why = format!("a warning, and the run is strict: {why}");
            decided = settled(was, None);
        }
        if let Some(remark) = self.remark(id, new.iter().map(|(deviation, _)| *deviation)) {
            why = format!("{why}; {remark}");
        }
        let verdict = match failure {
            Covers::Undecided => was,
            Covers::Fail | Covers::Warn | Covers::FailOrWarn => Verdict::Fail,
        };
        (verdict, why, decided)
    }

    /// What the baseline says of a case that shows something else: by an entry that lists the case by name,
    /// or only one that has expired.
    fn remark<'d>(
        &self,
        id: &str,
        mut new: impl Iterator<Item = &'d Deviation> + Clone,
    ) -> Option<String> {
        let named = |(_, entry): &(String, &Entry)| entry.names_cases() && entry.matches(id);
        let first = new.clone().next()?;
        if let Some((place, entry)) = self.effective().find(named) {
            return Some(format!(
                "{place} lists it as {} with `{}`, but it shows `{first}`",
                entry.cause.covers, entry.cause
            ));
        }
        let unknown = new.clone().find_map(|deviation| {
            let (place, _) = self.effective().find(|(_, entry)| {
                entry.matches(id) && entry.cause.fits_but_for_what_was_seen(deviation)
            })?;
            Some(format!("{place} does not know of `{}`", deviation.seen?))
        });
        if unknown.is_some() {
            return unknown;
        }
        new.find_map(|deviation| {
            let (place, entry) = self
                .entries()
                .find(|(_, entry)| entry.matches(id) && entry.cause.fits(deviation))?;
            let last = entry.expires?;
            Some(format!("what {place} says of it expired on {last}"))
        })
    }

    fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        self.baseline.iter().flat_map(|baseline| {
            let entries = baseline.entries.iter();
            entries.map(|entry| (baseline.place(entry), entry))
        })
    }

    /// The entries that count in this run, with their places.
    fn effective(&self) -> impl Iterator<Item = (String, &Entry)> {
        self.entries().filter(|(_, entry)| {
            let counts = self.strict || entry.cause.covers != Covers::Warn;
            counts && !entry.expired(self.today)
        })
    }
}

/// A verdict that baselines do not cover.
struct SaysNothing;

fn settled(was: Verdict, entry: Option<String>) -> Option<BaselineMatch> {
    Some(BaselineMatch { was, entry })
}

fn linked(entry: &Entry) -> String {
    entry
        .link
        .as_ref()
        .map_or_else(String::new, |link| format!(", {link}"))
}
