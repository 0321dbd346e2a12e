//! Whether stanzas get through the target at all, as far as its cases have shown. Where none does, a case that waits
//! for one waits for what others wait for in vain, and is not given all its time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use simulated_partners::event::Party;

use super::case_run::CaseRun;
use super::group::Company;
use crate::case::{Expect, Need, Sees};
use crate::observe::Observation;

/// So many cases are given all their time, and show that nothing ever comes by a way.
const SCOUTS: usize = 16;
/// How long any other waits without anything happening.
pub(super) const BRIEF: Duration = Duration::from_secs(1);

/// A way of stanzas through the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From partners to the inner side.
    In,
    /// From the inner side to partners.
    Out,
}

/// What is known of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing has come, and so many cases have waited for something for a while.
    Silent(usize),
    /// Something came.
    Open,
}

/// What is known of both ways.
pub(super) struct Ways(Mutex<[Known; 2]>);

impl Ways {
    pub(super) fn new() -> Self {
        Self(Mutex::new([Known::Silent(0); 2]))
    }

    /// Whether a way is taken for closed: more than the scouts wait or have waited, and nothing ever came.
    pub(super) fn is_closed(&self, way: Way) -> bool {
        matches!(self.known()[way as usize], Known::Silent(cases) if cases > SCOUTS)
    }

    /// Whether a case that has waited for [`BRIEF`] for something to come by a way is to go on waiting.
    pub(super) fn are_worth_waiting(&self, way: Way) -> bool {
        match &mut self.known()[way as usize] {
            Known::Open => true,
            Known::Silent(cases) => {
                *cases += 1;
                *cases <= SCOUTS
            }
        }
    }

    /// Learns from a case that has ended by which ways something came.
    pub(super) fn learn(&self, came: [bool; 2]) {
        for (known, _) in self.known().iter_mut().zip(came).filter(|(_, came)| *came) {
            *known = Known::Open;
        }
    }

    fn known(&self) -> MutexGuard<'_, [Known; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn came_by(one: &Observation, way: Way) -> bool {
    match way {
        Way::In => matches!(one.sees, Sees::Delivered | Sees::Answered),
        Way::Out => Sees::Stanza.covers(one.sees) && one.by == Party::Target,
    }
}

impl CaseRun<'_> {
    /// Which ways something has come.
    pub(super) fn came(&self) -> [bool; 2] {
        let came = |one: &Observation, way| self.is_usual() && came_by(one, way);
        let observations = &self.observed.observations;
        [Way::In, Way::Out].map(|way| observations.iter().any(|one| came(one, way)))
    }

    /// Whether each stream is used in one direction, as nearly everywhere: that something comes against it says
    /// nothing of the others.
    fn is_usual(&self) -> bool {
        !self.script.needs.contains(&Need::Bidi)
    }

    /// Whether all that it still wants to see comes by a way by which nothing comes, now that it has waited for a
    /// while. It is not given all its time then.
    pub(super) fn is_hopeless(&mut self) -> bool {
        let Some(way) = self
            .awaits()
            .filter(|_| self.bench.company != Company::None)
        else {
            return false;
        };
        if self.scouts == Some(way) {
            return false;
        }
        if self.bench.ways.are_worth_waiting(way) {
            self.scouts = Some(way);
        } else {
            self.cut_short = Some(way);
        }
        self.cut_short.is_some()
    }

    /// The way by which all comes that the case still wants to see.
    fn awaits(&self) -> Option<Way> {
        if !self.is_usual() {
            return None;
        }
        let evidence = &self.observed.evidence;
        let (there, back) = match self.is_inbound() {
            true => (Way::In, Way::Out),
            false => (Way::Out, Way::In),
        };
        match &self.job.allowed {
            None => {
                let wanted = self.script.expect.iter().filter(|one| !one.is_negative());
                let mut unmet = wanted.filter(|one| !self.stands(one).is_met());
                let way = awaits(unmet.next()?)?;
                unmet.all(|one| awaits(one) == Some(way)).then_some(way)
            }
            Some(allowed) if !evidence.arrived.is_seen() => {
                let is_owed = allowed.unanimously_established()
                    || self.is_inbound() && self.observed.was_sent(self.names.probe());
                is_owed.then_some(there)
            }
            Some(_) => (self.awaits_answer() && !evidence.answered).then_some(back),
        }
    }
}

/// The way that an expectation needs, whichever alternative is seen.
fn awaits(expect: &Expect) -> Option<Way> {
    let own = match expect.sees {
        Sees::Delivered | Sees::Answered => Way::In,
        sees if Sees::Stanza.covers(sees) => Way::Out,
        _ => return None,
    };
    let same = |one: &Expect| awaits(one) == Some(own);
    expect.or.iter().all(same).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_have_all_their_time_and_others_end_unless_something_came() {
        let ways = Ways::new();
        for _ in 0..SCOUTS {
            assert!(ways.are_worth_waiting(Way::In));
        }
        assert!(!ways.is_closed(Way::In), "all of them still wait");
        assert!(!ways.are_worth_waiting(Way::In));
        assert!(ways.is_closed(Way::In) && !ways.is_closed(Way::Out));
        ways.learn([true, false]);
        assert!(!ways.is_closed(Way::In), "something came");
        assert!(ways.are_worth_waiting(Way::In));
    }

    #[test]
    fn a_way_by_which_something_came_is_never_closed() {
        let ways = Ways::new();
        ways.learn([false, true]);
        assert!((0..2 * SCOUTS).all(|_| ways.are_worth_waiting(Way::Out)));
        assert!(!ways.is_closed(Way::Out));
    }
}
