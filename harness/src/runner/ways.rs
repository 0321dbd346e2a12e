//! Whether stanzas get through the target at all, as far as its cases have shown. Where none does, a case that waits
//! for one waits for what others have waited for in vain, and is not given all its time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use simulated_partners::event::Party;
use tokio::sync::watch;

use super::case_run::CaseRun;
use super::observed::Observed;
use crate::case::{Expect, Sees};
use crate::observe::Observation;

/// After so many cases in vain, a way is taken for closed.
const LEARNED: usize = 16;
/// How long a case then waits without anything happening.
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
    Nothing,
    /// Many have waited in vain, and nothing ever came.
    Closed,
    /// Something came.
    Open,
}

/// What is known of both ways.
pub(super) struct Ways {
    known: [watch::Sender<Known>; 2],
    in_vain: [AtomicUsize; 2],
}

impl Ways {
    pub(super) fn new() -> Self {
        Self {
            known: [(); 2].map(|()| watch::Sender::new(Known::Nothing)),
            in_vain: Default::default(),
        }
    }

    /// Whether a way is closed.
    pub(super) fn is_closed(&self, way: Way) -> bool {
        *self.known[way as usize].borrow() == Known::Closed
    }

    /// Returns when a way is found to be closed.
    pub(super) async fn closes(&self) {
        let [into, out] = &self.known;
        let (mut into, mut out) = (into.subscribe(), out.subscribe());
        let closed = |known: &Known| *known == Known::Closed;
        tokio::select! {
            _ = into.wait_for(closed) => {}
            _ = out.wait_for(closed) => {}
        }
    }

    /// Learns from a case that has ended: which ways something came, and for which one it waited in vain.
    pub(super) fn learn(&self, came: [bool; 2], in_vain: Option<Way>) {
        for (known, _) in self.known.iter().zip(came).filter(|(_, came)| *came) {
            known.send_replace(Known::Open);
        }
        let Some(way) = in_vain else { return };
        let before = self.in_vain[way as usize].fetch_add(1, Ordering::Relaxed);
        if before + 1 >= LEARNED {
            self.known[way as usize].send_if_modified(|known| {
                let is_news = *known == Known::Nothing;
                if is_news {
                    *known = Known::Closed;
                }
                is_news
            });
        }
    }
}

/// Which ways something has come.
pub(super) fn came(observed: &Observed) -> [bool; 2] {
    [Way::In, Way::Out].map(|way| observed.observations.iter().any(|one| came_by(one, way)))
}

fn came_by(one: &Observation, way: Way) -> bool {
    match way {
        Way::In => matches!(one.sees, Sees::Delivered | Sees::Answered),
        Way::Out => Sees::Stanza.covers(one.sees) && one.by == Party::Target,
    }
}

impl CaseRun<'_> {
    /// Whether all that it still wants to see comes by a way by which nothing comes. Returns that way.
    pub(super) fn hopeless(&self) -> Option<Way> {
        let way = self.awaits()?;
        self.bench.ways.is_closed(way).then_some(way)
    }

    /// The way by which all comes that the case still wants to see.
    pub(super) fn awaits(&self) -> Option<Way> {
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
                allowed.unanimously_established().then_some(there)
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

    #[tokio::test]
    async fn a_way_is_closed_when_many_have_waited_and_nothing_came() {
        let ways = Ways::new();
        for _ in 1..LEARNED {
            ways.learn([false; 2], Some(Way::In));
        }
        assert!(!ways.is_closed(Way::In));
        ways.learn([false; 2], Some(Way::In));
        assert!(ways.is_closed(Way::In) && !ways.is_closed(Way::Out));
        ways.closes().await;
        ways.learn([true, false], None);
        assert!(!ways.is_closed(Way::In), "something came");
    }

    #[test]
    fn a_way_by_which_something_came_is_never_closed() {
        let ways = Ways::new();
        ways.learn([false, true], None);
        for _ in 0..2 * LEARNED {
            ways.learn([false; 2], Some(Way::Out));
        }
        assert!(!ways.is_closed(Way::Out));
    }
}
