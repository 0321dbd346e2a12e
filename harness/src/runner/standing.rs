//! How a running case stands: what it has shown, and whether more can come.

use std::time::Duration;

use tokio::time::Instant;

use super::case_run::{AFTERMATH, CaseRun};
use crate::case::{Expect, Sees};
use crate::evidence::Bounce;
use crate::judge::{Grade, grade};
use crate::observe::{self, Observation};

impl CaseRun<'_> {
    /// Whether there is nothing left to wait for.
    pub(super) fn is_decided(&self) -> bool {
        if self.script.by_oracle() {
            return self.backend.is_decided(self.job, &self.observed);
        }
        let improves = |one: &Expect| {
            let is_open = self.open > 0 && !one.or.is_empty();
            is_open && matches!(self.stands(one), Grade::Tolerated(_))
        };
        self.is_bearable() && !self.script.expect.iter().any(improves)
    }

    /// Whether a scenario shows all that it wants, if only by an alternative that is tolerated. A better one may
    /// still be under way, on another connection.
    pub(super) fn is_bearable(&self) -> bool {
        // Only forbidden events are left, which are decided at the end.
        let mut wanted = self.script.expect.iter().filter(|one| !one.is_negative());
        !self.script.by_oracle()
            && wanted.clone().next().is_some()
            && wanted.all(|one| self.stands(one).is_met())
            && self.has_outcome()
            && !self.may_try_again()
    }

    /// Whether it shows how the case ends, where the script says how it may.
    fn has_outcome(&self) -> bool {
        let evidence = &self.observed.evidence;
        self.script.outcome.is_empty()
            || evidence.arrived.is_seen()
            || evidence.bounced == Bounce::Seen
            || self.open == 0
    }

    /// Whether only the end of refused streams is awaited.
    pub(super) fn is_settling(&self) -> bool {
        self.script.by_oracle() && self.backend.is_settling(self.job, &self.observed)
    }

    /// Whether all connections of a scenario have ended, so little more can happen.
    pub(super) fn is_quiet(&self) -> bool {
        !self.script.by_oracle()
            && self.open == 0
            && !self.observed.observations.is_empty()
            && !self.is_changing()
    }

    /// How long nothing may happen in a scenario before nothing more will: until the target has lost its patience,
    /// and the partners that wait for it. `None` where that is not known, or the script has its own time.
    pub(super) fn longest_silence(&self) -> Option<Duration> {
        let own = self.bench.target.patience? * 3 / 2;
        let has_a_limit = !self.script.by_oracle()
            && self.script.seconds.is_none()
            && !self.observed.observations.is_empty()
            && !self.is_changing();
        let partners = self.script.roles.iter();
        let theirs = partners.filter_map(|role| role.patience).max();
        let theirs = Duration::from_millis(theirs.unwrap_or_default().into());
        let longest = (own.max(theirs) * self.bench.stretch).max(self.bench.deadlines.patience);
        has_a_limit.then(|| longest + self.bench.stretch * AFTERMATH)
    }

    /// From when nothing that a scenario still wants can come any more, if that is known.
    pub(super) fn too_late_from(&self) -> Option<Instant> {
        let wanted = self.script.expect.iter().filter(|one| !one.is_negative());
        let mut unmet = wanted.filter(|one| !self.stands(one).is_met());
        let first = self.is_late_from(unmet.next()?)?;
        unmet.try_fold(first, |from, one| Some(from.max(self.is_late_from(one)?)))
    }

    /// From when an expectation that is not met cannot be met any more.
    fn is_late_from(&self, expect: &Expect) -> Option<Instant> {
        let own = match expect.within.filter(|_| expect.after.is_none()) {
            Some(within) => Some(self.began + Duration::from_millis(within.into())),
            None => self.is_past(expect).then_some(self.began),
        };
        let others = expect.or.iter().map(|one| self.is_late_from(one));
        others.fold(own, |from, other| Some(from?.max(other?)))
    }

    pub(super) fn stands(&self, expect: &Expect) -> Grade {
        if expect.sees == Sees::Query {
            let mut observations = self.observed.observations.clone();
            observations.extend(self.queries());
            return grade(expect, &observations, &self.fill());
        }
        grade(expect, &self.observed.observations, &self.fill())
    }

    /// DNS queries about the case's domains.
    pub(super) fn queries(&self) -> Vec<Observation> {
        let at = self.began.elapsed();
        let records = self.bench.lab.dns.records();
        let domains = self.domains_of_queries();
        let queries = domains.iter().flat_map(|one| records.queries_below(one));
        queries
            .map(|(name, query)| observe::query(&name, &query.kind, query.tcp, at))
            .collect()
    }

    /// The domains below which all of the case's are: its own, and explicit ones.
    pub(super) fn domains_of_queries(&self) -> Vec<String> {
        let own = self.names.domain().to_owned();
        let below = format!(".{own}");
        let domains = self.names.domains(self.script).into_iter();
        let others = domains.filter(|domain| *domain != own && !domain.ends_with(&below));
        let others: Vec<String> = others.collect();
        std::iter::once(own).chain(others).collect()
    }
}
