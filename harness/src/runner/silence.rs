//! Silence, and what can be said of a case that did not go on: whether the target broke its word by it, what
//! can no longer be undone, and what the scenario itself never sent.

use std::collections::BTreeSet;
use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::reaction::{Reaction, Signal, When};
use simulated_partners::wire::Unit;
use tokio::time::Instant;

use super::actions::Due;
use super::case_run::{CaseRun, End};
use super::lateness::Wait;
use crate::case::{Direction, Expect, Sees};
use crate::evidence::Arrival;
use crate::finding::Finding;
use crate::judge::weight;
use crate::oracle::Situation;
use crate::oracle::prohibited::violations;
use crate::verdict::Weight;

/// Signals that follow from what the target does, with or without a number.
const OF_THE_TARGET: [&str; 5] = ["answered", "delivered", "ended", "looked-up", "returned"];

/// How many signals may wait for one another.
const CHAIN: usize = 4;

impl CaseRun<'_> {
    /// Notes that a deadline of ours has ended something.
    pub(super) fn ran_out(&mut self) {
        self.timed_out(self.last);
    }

    /// Notes that a deadline has ended something, whose time began at this moment.
    pub(super) fn timed_out(&mut self, since: Instant) {
        let length = self.last.elapsed();
        self.waited(Wait { since, length });
    }

    /// Notes that a deadline has ended a wait, and how the target fared meanwhile.
    pub(super) fn waited(&mut self, wait: Wait) {
        let instance = self.bench.instance;
        self.observed.was_busy |= instance.is_busy(wait);
        self.observed.was_slow |= instance.is_slow(wait.since);
        self.observed.ran_out(wait);
    }

    /// Segments of texts that partners send in pieces.
    pub(super) fn segments_sent(&self) -> u64 {
        let partners = self.partners.iter();
        partners.map(|one| one.partner.segments()).sum()
    }

    /// Whether partners still write what makes no event before it is whole: so nobody is silent.
    pub(super) fn still_writes(&mut self, looked: &mut Duration) -> bool {
        let segments = self.segments_sent();
        let more = segments != self.segments;
        self.segments = segments;
        if more {
            self.last = Instant::now();
            *looked = Duration::ZERO;
        }
        more
    }

    /// Why silence says nothing of the target, if that is so: the case ended by our own deadline, and
    /// the target may wait for longer.
    pub(super) fn undecided(&self) -> Option<String> {
        let deadline = (self.end == End::Deadline).then(|| self.began.elapsed());
        let waited = deadline.max(self.gave_up)?;
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        match self.bench.target.patience {
            Some(own) if waited >= own => None,
            Some(own) => Some(format!(
                "silence of {} is no breach: the server's own timeout is {}, so set it to less or \
                 --timeout to more than {:.0}",
                seconds(waited),
                seconds(own),
                (own.as_secs_f64() * 2.0).ceil() + 1.0
            )),
            None => Some(format!(
                "silence of {} is no breach: the server's own timeout is not known (`stream` in the \
                 target file)",
                seconds(waited)
            )),
        }
    }

    /// Whether something was seen that cannot be undone, so that the case fails whatever follows.
    pub(super) fn has_breach(&self) -> bool {
        if self.script.by_oracle() {
            let situation = Situation::of(&self.job.case, self.bench.profile);
            return !violations(&situation, &self.observed.events).is_empty();
        }
        self.breaks(Expect::is_negative)
    }

    /// Whether something was not seen that cannot come any more.
    pub(super) fn has_missed(&self) -> bool {
        !self.script.by_oracle() && self.breaks(|expect| self.is_final(expect))
    }

    fn breaks(&self, which: impl Fn(&Expect) -> bool) -> bool {
        let is_must = |expect: &Expect| {
            let requirements = match expect.requirements.as_slice() {
                [] => self.job.case.requirements(),
                own => own,
            };
            weight(expect, requirements, self.script.registry()) == Weight::Must
        };
        let mut expected = self.script.expect.iter();
        expected.any(|expect| which(expect) && is_must(expect) && !self.stands(expect).is_met())
    }

    /// Whether an expectation that is not met by now cannot be met any more.
    pub(super) fn is_final(&self, expect: &Expect) -> bool {
        expect.is_negative()
            || self.is_past(expect) && expect.or.iter().all(|one| self.is_past(one))
    }

    /// Whether what it expects comes before the stanza is through, and that is.
    pub(super) fn is_past(&self, expect: &Expect) -> bool {
        let past = match expect.sees {
            // How the stream of the stanza was negotiated is settled once the stanza is through.
            Sees::Tls | Sees::Certificate | Sees::Header | Sees::Unit(Unit::Features) => {
                expect.at.is_none()
                    && expect.connection.is_none_or(|number| number == 1)
                    && expect.at_least.is_none()
                    && expect.after.is_none()
            }
            // A stanza that has arrived is not returned.
            Sees::Returned => {
                self.job.case.direction == Direction::Outbound
                    && expect.with.get("id").is_some_and(|id| id == "{probe}")
            }
            _ => false,
        };
        let through = self.observed.evidence.arrived == Arrival::Seen && self.pending.is_empty();
        through && past
    }

    /// Whether a target may still try another way, where it is not seen that it told the sender.
    pub(super) fn may_try_again(&self) -> bool {
        let returned = |expect: &Expect| expect.sees == Sees::Returned;
        let mut expected = self.job.case.script.expect.iter();
        !self.backend.is_attached()
            && !self.is_inbound()
            && !self.observed.evidence.arrived.is_seen()
            && expected.any(|one| returned(one) || one.or.iter().any(returned))
    }

    /// What the scenario was to do itself, and never did, if only that explains what was not seen. Where the
    /// target let nobody in, it is the target's doing.
    pub(super) fn left_undone(&self, findings: &[Finding]) -> Option<String> {
        let through = self.observed.evidence.arrived == Arrival::Seen;
        let judged = findings.iter().any(|finding| finding.weight > Weight::May);
        if self.script.by_oracle() || !through || !judged || findings.iter().any(|one| one.seen) {
            return None;
        }
        let own = |signal: &str| {
            let word = signal.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            !OF_THE_TARGET.contains(&word) && !self.is_owed(signal, CHAIN)
        };
        let undone: BTreeSet<String> = self
            .pending
            .iter()
            .filter(|(_, signal)| own(signal))
            .map(|(due, signal)| self.undone(*due, signal))
            .collect();
        let undone: Vec<String> = undone.into_iter().collect();
        (!undone.is_empty()).then(|| undone.join("; "))
    }

    /// Whether a signal waits for an end of the stream that the target owes: the scenario wants to see it,
    /// and it never came. So does one that another partner raises once it has dialled for such a signal.
    fn is_owed(&self, signal: &str, chain: usize) -> bool {
        let is_missed = |expect: &Expect| {
            expect.sees == Sees::StreamEnd && !expect.is_negative() && !self.stands(expect).is_met()
        };
        let raises = |reaction: &&Reaction| {
            let mut actions = reaction.actions.iter();
            actions.any(|action| action.signal() == Some(Signal::Raised(signal)))
        };
        self.script.roles.iter().any(|role| {
            let waits = match &role.dials {
                Begins::When(other) => chain > 0 && self.is_owed(other, chain - 1),
                Begins::Plain(_) => false,
            };
            let mut raising = role.persona.reactions.iter().filter(raises);
            raising.any(|one| {
                waits || one.when == When::StreamEnd && self.script.expect.iter().any(is_missed)
            })
        })
    }

    fn undone(&self, due: Due, signal: &str) -> String {
        let what = match due {
            Due::Dial(at) => {
                let role = self.script.roles.get(at).map_or("", |role| &role.name);
                format!("the partner `{role}` never dialled")
            }
            Due::Local(at) => {
                let send = self.script.local.get(at).map_or("", |local| &local.send);
                format!("the inner side never sent `{}`", send.trim())
            }
            Due::Dns(_) => "the records in DNS never changed".to_owned(),
            Due::Step(_) => "the target was never changed".to_owned(),
        };
        format!("{what}: nothing raised `{signal}`")
    }
}
