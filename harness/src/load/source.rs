//! When stanzas are sent: at a pace, or as many as arrive.

use std::collections::VecDeque;

use super::books::{Books, Flow};
use super::stanza::{Mould, Way};

/// How many stanzas may be late before those that are due later are left out.
const LATE: usize = 65_536;
/// Bytes that may wait to be sent on a connection.
pub(super) const UNSENT: usize = 32 * 1024;

/// How often stanzas are due.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// Whenever there is room.
    Most,
    /// At equal distances, in nanoseconds.
    Every {
        /// The distance.
        interval: u64,
        /// When the next one is due.
        next: u64,
    },
}

impl Pace {
    /// So many a second in all, of which this is one part of several.
    pub(super) fn of(rate: Option<f64>, part: usize, parts: usize) -> Self {
        let Some(rate) = rate else { return Self::Most };
        let parts = parts.max(1) as f64;
        let interval = (1e9 * parts / rate).max(1.0);
        Self::Every {
            interval: interval as u64,
            // They are spread out.
            next: (interval * part as f64 / parts) as u64,
        }
    }
}

/// Stanzas that are due and not sent yet, each with the time since when it counts as late.
///
/// That is when it was seen to be due: a timer of this program that is late is not the target's fault. Waiting for
/// room is.
#[derive(Debug)]
pub(super) struct Due {
    pace: Pace,
    late: VecDeque<u64>,
    began: bool,
}

impl Due {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            late: VecDeque::new(),
            began: false,
        }
    }

    /// Takes in what is due by now. The pace begins with the first look.
    pub(super) fn look(&mut self, now: u64) {
        let begins = !std::mem::replace(&mut self.began, true);
        if let Pace::Every { interval, next } = &mut self.pace {
            if begins {
                *next += now;
            }
            while *next <= now {
                if self.late.len() < LATE {
                    self.late.push_back(now);
                }
                *next += *interval;
            }
        }
    }

    /// The next one that is due, if one is.
    pub(super) fn take(&mut self, now: u64) -> Option<u64> {
        match self.pace {
            Pace::Most => Some(now),
            Pace::Every { .. } => self.late.pop_front(),
        }
    }

    /// Whether one is due and waits for room.
    pub(super) fn waits(&self) -> bool {
        matches!(self.pace, Pace::Most) || !self.late.is_empty()
    }

    /// When the next one is due that is not yet.
    pub(super) fn next(&self) -> Option<u64> {
        match self.pace {
            Pace::Most => None,
            Pace::Every { next, .. } => Some(next),
        }
    }
}

/// What one partner sends.
#[derive(Debug)]
pub(super) struct Source {
    way: Way,
    mould: Mould,
    due: Due,
}

impl Source {
    pub(super) fn new(way: Way, mould: Mould, pace: Pace) -> Self {
        Self {
            way,
            mould,
            due: Due::new(pace),
        }
    }

    /// Writes what is due and has room.
    pub(super) fn write(&mut self, books: &Books, flow: &Flow, out: &mut Vec<u8>) {
        let Some(_steady) = books.steady() else {
            return;
        };
        let now = books.now();
        self.due.look(now);
        while out.len() < UNSENT
            && flow.under_way() < books.window
            && let Some(due) = self.due.take(now)
        {
            self.mould.write(due, out);
            books.sends(self.way, flow);
        }
    }

    /// Whether it waits for room.
    pub(super) fn waits(&self) -> bool {
        self.due.waits()
    }

    /// When the next one is due that is not yet.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::books::Phase;
    use super::*;

    #[test]
    fn parts_take_turns_and_make_the_rate_together() {
        let mut all = Vec::new();
        for part in 0..4 {
            let mut due = Due::new(Pace::of(Some(1000.0), part, 4));
            for now in (0..1_000_000_000).step_by(1_000_000) {
                due.look(now);
                all.extend(std::iter::from_fn(|| due.take(now)));
            }
        }
        assert_eq!(all.len(), 1000);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1000, "one each millisecond");
    }

    #[test]
    fn what_waits_for_room_counts_from_when_it_was_due() {
        let mut due = Due::new(Pace::of(Some(1e9), 0, 1));
        due.look(0);
        assert_eq!(due.take(0), Some(0));
        due.look(10);
        assert!(due.waits());
        assert_eq!(due.take(1_000_000), Some(10));
    }

    #[test]
    fn what_is_too_late_is_left_out() {
        let mut due = Due::new(Pace::of(Some(1e9), 0, 1));
        due.look(0);
        due.look(10 * LATE as u64);
        assert_eq!(due.late.len(), LATE);
    }

    #[test]
    fn the_window_holds_and_opens() {
        let books = Books::new(1, 3);
        let mould = || Mould::new(Way::Inward, 0, "a@p.example", "b@x.example", 1);
        let mut source = Source::new(Way::Inward, mould(), Pace::Most);
        let mut out = Vec::new();
        source.write(&books, &books.inward[0], &mut out);
        assert_eq!(books.inward[0].under_way(), 0, "it is not time yet");
        books.enter(Phase::Steady);
        source.write(&books, &books.inward[0], &mut out);
        assert_eq!(books.inward[0].under_way(), 3);
        let mut one = Vec::new();
        mould().write(0, &mut one);
        books.take(&one);
        source.write(&books, &books.inward[0], &mut out);
        assert_eq!(books.inward[0].under_way(), 3);
        assert!(source.waits());
    }
}
