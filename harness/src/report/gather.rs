//! Collects the events of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;

use crate::console::Rerun;
use crate::judge::{Cause, Strength, causes, clause, lead};
use crate::outcome::Outcome;
use crate::record::{NotRun, Record, Run, RunEvent};
use crate::verdict::Verdict;

/// The state of a run so far.
#[derive(Debug, Default)]
pub struct Report {
    /// Name and version of the target; empty before the run has begun.
    pub target: String,
    pub seed: u64,
    /// How one of its cases is run again.
    pub rerun: Rerun,
    /// The number of cases, including controls.
    pub cases: usize,
    /// The number of cases added as controls.
    pub controls: usize,
    /// Results by case id.
    pub records: BTreeMap<String, Record>,
    /// What the target does wrong, whatever the case.
    pub breaches: BTreeSet<String>,
    /// The entries of the baseline that no case shows any more.
    pub unneeded: Vec<String>,
    /// Problems outside of cases.
    pub trouble: Vec<String>,
    /// The cases that have a bundle.
    pub bundles: BTreeSet<String>,
    /// How many cases that did not end as expected have none, as there were too many.
    pub without_bundle: usize,
    /// The number of rounds; 0 before the end.
    pub rounds: u32,
    /// The current round, and how many of its cases have ended.
    pub repeating: Option<Repeating>,
    /// Wall time; zero before the end.
    pub elapsed: Duration,
    /// Whether the run was interrupted, so results are partial.
    pub interrupted: bool,
    /// Whether the run was ended because enough had failed, so results are partial.
    pub enough: bool,
    /// Whether the run has ended.
    pub ended: bool,
}

impl Report {
    /// Adds an event.
    pub fn take(&mut self, event: RunEvent) {
        match event {
            RunEvent::Started {
                target,
                cases,
                controls,
                seed,
            } => {
                self.target = target;
                self.cases = cases;
                self.controls = controls;
                self.seed = seed;
            }
            RunEvent::Finished(record) => {
                self.records.insert(record.result.case.id.clone(), *record);
            }
            RunEvent::Repeating { round, of, done } => {
                self.repeating = Some(Repeating { round, of, done });
            }
            RunEvent::Breach(what) => {
                self.breaches.insert(what);
            }
            RunEvent::Trouble(what) => self.trouble.push(what),
            RunEvent::Ended {
                elapsed,
                rounds,
                interrupted,
            } => {
                self.elapsed = elapsed;
                self.rounds = rounds;
                self.interrupted = interrupted;
                self.ended = true;
            }
        }
    }

    /// Whether some results are missing.
    pub fn partial(&self) -> bool {
        self.interrupted || self.enough || !self.ended || self.records.len() < self.cases
    }

    /// Whether the run ended and no selected case was run: the target can run none of them, or there was no
    /// time for one.
    pub fn ran_nothing(&self) -> bool {
        let mut selected = self.records.values();
        let not_run = |verdict| matches!(verdict, Verdict::Unsupported | Verdict::NotRun);
        !self.partial() && selected.all(|one| one.result.added_as_control || not_run(one.verdict))
    }

    /// Results by verdict.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for record in self.records.values() {
            tally.add(record);
        }
        tally
    }

    /// What failed, warned or is disputed, by cause, the most telling first.
    pub fn causes(&self) -> Vec<Cause> {
        causes(self.records.values())
    }

    /// The number of cases that failed or warned, by what stands behind the clause that they show broken.
    pub fn strengths(&self) -> BTreeMap<Strength, Blamed> {
        let mut all: BTreeMap<Strength, Blamed> = BTreeMap::new();
        for record in self.records.values() {
            let Some(finding) = lead(&record.result) else {
                continue;
            };
            let strength = Strength::of(clause(&record.result, finding).level);
            match record.verdict {
                Verdict::Fail => all.entry(strength).or_default().fail += 1,
                Verdict::Warn => all.entry(strength).or_default().warn += 1,
                Verdict::Pass
                | Verdict::Disputed
                | Verdict::Unstable
                | Verdict::Unsupported
                | Verdict::Error
                | Verdict::Undecided
                | Verdict::NotRun
                | Verdict::Xfail
                | Verdict::Xpass => {}
            }
        }
        all
    }

    /// Medians of the measured times: connect, TLS, auth, probe, total.
    pub fn medians(&self) -> [Option<Duration>; 5] {
        let mut times: [Vec<Duration>; 5] = Default::default();
        for record in self.ran() {
            let t = &record.result.timings;
            let measured = [t.connect, t.tls, t.auth, t.probe, Some(t.total)];
            for (list, time) in times.iter_mut().zip(measured) {
                list.extend(time);
            }
        }
        times.map(|mut list| {
            list.sort_unstable();
            list.get(list.len() / 2).copied()
        })
    }

    /// Cases in which the target waited about 40 ms, out of those that reached TCP, if they are
    /// at least half: fewer are accidents of a busy machine.
    pub fn delayed(&self) -> Option<(usize, usize)> {
        let connected = || {
            self.ran()
                .filter(|record| record.result.timings.connect.is_some())
        };
        let (all, late) = (
            connected().count(),
            connected().filter(|r| r.result.timings.delayed).count(),
        );
        (late > 0 && late * 2 >= all).then_some((late, all))
    }

    /// The slowest cases, slowest first.
    pub fn slowest(&self, count: usize) -> Vec<&Record> {
        let mut ran: Vec<&Record> = self.ran().collect();
        ran.sort_by(|a, b| {
            (b.result.timings.total, &a.result.case.id)
                .cmp(&(a.result.timings.total, &b.result.case.id))
        });
        ran.truncate(count);
        ran
    }

    fn ran(&self) -> impl Iterator<Item = &Record> {
        self.records
            .values()
            .filter(|r| r.result.outcome().is_some())
    }
}

/// The number of cases that blame the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Blamed {
    /// With the verdict `fail`.
    pub fail: usize,
    /// With the verdict `warn`.
    pub warn: usize,
}

/// The progress of repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeating {
    /// The round, counted from 1.
    pub round: u32,
    /// The maximum number of rounds.
    pub of: Option<u32>,
    /// Cases of this round that have ended.
    pub done: usize,
}

/// The number of cases with each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Tally {
    /// `pass`, both kinds.
    pub pass: usize,
    /// Of the passes of the matrix: a stanza got through.
    #[serde(skip)]
    pub established: usize,
    /// Of these: its answer was not due, and did not come back.
    #[serde(skip)]
    pub one_way: usize,
    /// Of the passes of the matrix: correctly refused.
    #[serde(skip)]
    pub refused: usize,
    /// Of the passes: by the sets `settings` and `failover`.
    #[serde(skip)]
    pub administered: usize,
    /// `warn`.
    pub warn: usize,
    /// `fail`.
    pub fail: usize,
    /// `disputed`.
    pub disputed: usize,
    /// `unstable`.
    pub unstable: usize,
    /// `undecided`.
    pub undecided: usize,
    /// `unsupported`.
    pub unsupported: usize,
    /// `error`.
    pub error: usize,
    /// `not-run`.
    #[serde(rename = "not-run")]
    pub not_run: usize,
    /// Of these: the target was gone.
    #[serde(skip)]
    pub without_target: usize,
    /// `xfail`.
    pub xfail: usize,
    /// `xpass`.
    pub xpass: usize,
}

impl Tally {
    pub(super) fn add(&mut self, record: &Record) {
        match record.verdict {
            Verdict::Pass if !record.result.case.script.by_oracle() => {
                self.pass += 1;
                self.administered += usize::from(record.result.case.administration().is_some());
            }
            Verdict::Pass => {
                self.pass += 1;
                self.one_way += usize::from(record.result.one_way);
                match record.result.outcome() {
                    Some(Outcome::Established(_)) => self.established += 1,
                    Some(Outcome::Refused(_) | Outcome::Stalled(_)) | None => self.refused += 1,
                }
            }
            Verdict::Warn => self.warn += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Unsupported => self.unsupported += 1,
            Verdict::Disputed => self.disputed += 1,
            Verdict::Unstable => self.unstable += 1,
            Verdict::Undecided => self.undecided += 1,
            Verdict::Error => self.error += 1,
            Verdict::NotRun => {
                self.not_run += 1;
                let gone = matches!(record.result.run, Run::NotRun(NotRun::TargetGone(_)));
                self.without_target += usize::from(gone);
            }
            Verdict::Xfail => self.xfail += 1,
            Verdict::Xpass => self.xpass += 1,
        }
    }

    /// The number of unexpected results, see [`Verdict::is_unexpected`].
    pub const fn unexpected(&self) -> usize {
        self.fail + self.unstable + self.xpass
    }

    /// The number of cases whose question is still open, those among them for which there was no target
    /// any more.
    pub const fn open(&self) -> usize {
        self.undecided + self.error + self.without_target
    }
}
