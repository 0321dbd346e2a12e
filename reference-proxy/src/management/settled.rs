//! Which of a peer's stanzas are settled: they were passed on for good, or returned.

use std::collections::VecDeque;

/// The stanzas of a peer, numbered as they came. The numbers wrap.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// How many are settled, without a gap.
    count: u32,
    /// Whether those after them are, a byte for each. None waits for longer than streams to partners may take.
    after: VecDeque<bool>,
    /// How many the peer may be told of.
    tellable: u32,
    /// How many it may be told of once so many stanzas more have been written to it.
    next: (u32, usize),
}

impl Settled {
    /// After so many that are settled.
    pub(super) fn after(count: u32) -> Self {
        Self {
            count,
            after: VecDeque::new(),
            tellable: count,
            next: (count, 0),
        }
    }

    /// How many are settled, without a gap.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How many the peer may be told of behind so many stanzas, which are being written to it, while others wait. Among
    /// them may be errors that have settled its own: those come before it is told.
    pub(super) fn tell(&mut self, written: usize, waiting: impl FnOnce() -> usize) -> u32 {
        let (count, before) = self.next;
        self.next = (count, before.saturating_sub(written));
        if self.next.1 == 0 {
            self.tellable = count;
            self.next = (self.count, waiting());
            if self.next.1 == 0 {
                self.tellable = self.count;
            }
        }
        self.tellable
    }

    /// How many have come.
    pub(super) fn received(&self) -> u32 {
        let after = u32::try_from(self.after.len()).unwrap_or(u32::MAX);
        self.count.wrapping_add(after)
    }

    /// Another one has come. Returns its number.
    pub(super) fn receive(&mut self) -> u32 {
        let number = self.received();
        self.after.push_back(false);
        number
    }

    /// The one of this number is settled.
    pub(super) fn settle(&mut self, number: u32) {
        let place = usize::try_from(number.wrapping_sub(self.count)).unwrap_or(usize::MAX);
        if let Some(settled) = self.after.get_mut(place) {
            *settled = true;
        }
        while self.after.front() == Some(&true) {
            self.after.pop_front();
            self.count = self.count.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_behind_a_gap_count_once_it_is_filled() {
        let mut settled = Settled::after(u32::MAX);
        let numbers: Vec<u32> = (0..4).map(|_| settled.receive()).collect();
        assert_eq!(numbers, [u32::MAX, 0, 1, 2]);
        for (number, count) in [(0, u32::MAX), (u32::MAX, 1), (u32::MAX, 1), (0, 1), (2, 1)] {
            settled.settle(number);
            assert_eq!(settled.count(), count, "{number}");
        }
        assert_eq!(settled.received(), 3);
        settled.settle(1);
        assert_eq!(settled.count(), 3);
        // What has not come is not settled.
        settled.settle(3);
        assert_eq!((settled.count(), settled.received()), (3, 3));
    }

    #[test]
    fn the_peer_is_told_behind_the_errors_that_wait() {
        let mut settled = Settled::after(5);
        let settle = |settled: &mut Settled| {
            let number = settled.receive();
            settled.settle(number);
        };
        assert_eq!(settled.tell(3, || 7), 5, "nothing new");
        settle(&mut settled);
        for (written, waiting, tellable) in [(4, 9, 5), (3, 9, 5), (0, 9, 5), (9, 0, 6)] {
            assert_eq!(settled.tell(written, || waiting), tellable, "{written}");
        }
        // However much waits all the time.
        for count in 6..9 {
            settle(&mut settled);
            assert_eq!(settled.tell(9, || 9), count);
        }
        assert_eq!(settled.tell(9, || 0), 9);
        settle(&mut settled);
        assert_eq!(settled.tell(0, || 0), 10);
    }
}
