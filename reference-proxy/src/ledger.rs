//! What was refused, by whom and why: a line in the log for each, counters, and the last of them.
//!
//! All of it is bounded. Conditions are words of this program, texts are cut where they were read, and
//! the oldest refusal of a kind makes room for the latest. So a flood of one kind hides no other, and equal ones are
//! remembered as one, with their number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strum::Display;
use tokio::time::Instant;

use crate::clock::Clock;

/// The condition of a certificate that is no reason to end the stream, since dialback does instead of SASL.
pub(crate) const BAD_CERTIFICATE: &str = "bad-certificate";
/// What begins its text.
pub(crate) const NOT_ACCEPTED: &str =
    "dialback instead of SASL, as the certificate is not accepted";

/// How many of the last different refusals of each kind are kept.
const KEPT: usize = 32;

/// On which side, and who dialled there.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
#[strum(serialize_all = "kebab-case")]
pub enum Direction {
    /// A gateway dialled.
    Gateway,
    /// A partner dialled.
    Inbound,
    /// The proxy dialled a partner.
    Outbound,
}

/// How far it had come.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
#[strum(serialize_all = "kebab-case")]
pub enum Phase {
    /// The lookup of the partner's servers.
    Dns,
    /// TCP, and the limits of connections.
    Connection,
    /// Stream headers and features.
    Stream,
    /// STARTTLS, the handshake and certificates.
    Tls,
    /// EXTERNAL.
    Sasl,
    /// Dialback, as any of the three servers.
    Dialback,
    /// The stream is open for stanzas.
    Open,
    /// One stanza: its addresses, its size, or a partner that is not listed.
    Stanza,
}

/// Who refused.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// The partner or the gateway.
    Peer,
    /// This proxy.
    Proxy,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// On which side.
    pub direction: Direction,
    /// How far it had come.
    pub phase: Phase,
    /// Who refused.
    pub by: By,
    /// The condition of a stream error, a stanza error or a SASL failure, or a word in its place.
    pub condition: &'static str,
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As what it is counted.
    pub kind: Kind,
    /// The peer's domain, which it may only claim to have.
    pub domain: Option<String>,
    /// The peer's address.
    pub peer: Option<SocketAddr>,
    /// Why, in the words of the one who refused.
    pub text: String,
}

/// A refusal that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// How long ago it was the last time, by the proxy's clock.
    pub ago: Duration,
    /// How often it has been, with the same domain and text, whatever the address.
    pub times: u64,
    /// What it was.
    pub refusal: Refusal,
}

/// All that is known of refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// How many there were since the start.
    pub counts: BTreeMap<Kind, u64>,
    /// The last ones of each kind, the latest first.
    pub last: Vec<Past>,
}

/// Keeps refusals.
#[derive(Debug)]
pub(crate) struct Ledger {
    clock: Clock,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    kinds: BTreeMap<Kind, OfKind>,
    total: u64,
}

#[derive(Debug, Default)]
struct OfKind {
    count: u64,
    /// The latest last.
    last: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    at: Instant,
    /// Tells those of one time apart.
    number: u64,
    times: u64,
    refusal: Refusal,
}

impl OfKind {
    /// Takes out what is equal to a refusal but for its address. Returns how often that was.
    fn take_equal(&mut self, refusal: &Refusal) -> u64 {
        let Refusal { domain, text, .. } = refusal;
        let equal = |kept: &Kept| kept.refusal.domain == *domain && kept.refusal.text == *text;
        let found = self.last.iter().position(equal);
        let taken = found.and_then(|place| self.last.remove(place));
        taken.map_or(0, |kept| kept.times)
    }
}

impl Ledger {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            entries: Mutex::default(),
        }
    }

    /// Logs a refusal, counts it, and remembers it for a while.
    pub(crate) fn enter(&self, refusal: Refusal) {
        let Refusal {
            kind,
            domain,
            peer,
            text,
        } = &refusal;
        tracing::info!(
            direction = %kind.direction,
            domain,
            peer = peer.map(tracing::field::display),
            phase = %kind.phase,
            by = %kind.by,
            condition = kind.condition,
            text,
            "refused"
        );
        let now = self.clock.now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.total += 1;
        let number = entries.total;
        let of_kind = entries.kinds.entry(*kind).or_default();
        of_kind.count += 1;
        let before = of_kind.take_equal(&refusal);
        if of_kind.last.len() == KEPT {
            of_kind.last.pop_front();
        }
        of_kind.last.push_back(Kept {
            at: now,
            number,
            times: before + 1,
            refusal,
        });
    }

    /// What was entered so far.
    pub(crate) fn refusals(&self) -> Refusals {
        let now = self.clock.now();
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = entries.kinds.iter();
        let mut last: Vec<_> = kinds
            .clone()
            .flat_map(|(_, of_kind)| &of_kind.last)
            .collect();
        last.sort_by_key(|kept| Reverse((kept.at, kept.number)));
        let last = last.into_iter().map(|kept| Past {
            ago: now.saturating_duration_since(kept.at),
            times: kept.times,
            refusal: kept.refusal.clone(),
        });
        Refusals {
            counts: kinds
                .map(|(kind, of_kind)| (*kind, of_kind.count))
                .collect(),
            last: last.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn refusal(condition: &'static str, text: &str) -> Refusal {
        Refusal {
            kind: Kind {
                direction: Direction::Inbound,
                phase: Phase::Stream,
                by: By::Proxy,
                condition,
            },
            domain: Some("fp.example".to_owned()),
            peer: None,
            text: text.to_owned(),
        }
    }

    #[tokio::test]
    async fn refusals_are_counted_by_kind_and_age_by_the_proxys_clock() {
        let clock = Clock::by_hand();
        let ledger = Ledger::new(&clock);
        ledger.enter(refusal("host-unknown", "first"));
        let minute = Duration::from_secs(60);
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.timeout(minute, pending::<()>()).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(clock.advance(minute), Some(minute));
        assert!(waiting.await.expect("no panic").is_err());
        ledger.enter(refusal("policy-violation", "second"));
        ledger.enter(refusal("host-unknown", "third"));
        let Refusals { counts, last } = ledger.refusals();
        let counts: Vec<_> = counts
            .iter()
            .map(|(kind, count)| (kind.condition, *count))
            .collect();
        assert_eq!(counts, [("host-unknown", 2), ("policy-violation", 1)]);
        let last: Vec<_> = last
            .iter()
            .map(|past| (past.ago.as_secs(), past.refusal.text.as_str()))
            .collect();
        assert_eq!(last, [(0, "third"), (0, "second"), (60, "first")]);
    }

    #[test]
    fn equal_ones_are_remembered_as_one() {
        let ledger = Ledger::new(&Clock::default());
        ledger.enter(refusal("host-unknown", "another one"));
        for _ in 0..KEPT * 3 {
            ledger.enter(refusal("host-unknown", "the same"));
        }
        ledger.enter(refusal("host-unknown", "the last one"));
        let Refusals { counts, last } = ledger.refusals();
        assert_eq!(counts.into_values().sum::<u64>(), 98);
        let last: Vec<_> = last
            .iter()
            .map(|past| (past.refusal.text.as_str(), past.times))
            .collect();
        assert_eq!(
            last,
            [("the last one", 1), ("the same", 96), ("another one", 1)]
        );
    }

    #[test]
    fn the_last_ones_are_bounded_and_the_counts_go_on() {
        let ledger = Ledger::new(&Clock::default());
        ledger.enter(refusal("policy-violation", "before the flood"));
        for number in 0..KEPT + 10 {
            ledger.enter(refusal("host-unknown", &number.to_string()));
        }
        let Refusals { counts, last } = ledger.refusals();
        assert_eq!(counts.into_values().sum::<u64>(), 43);
        assert_eq!(last.len(), KEPT + 1);
        assert_eq!(last[0].refusal.text, "41");
        assert_eq!(last[KEPT - 1].refusal.text, "10");
        assert_eq!(last[KEPT].refusal.text, "before the flood");
    }
}
