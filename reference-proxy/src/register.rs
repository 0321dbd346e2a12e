//! The streams and gateways that are open, for whoever asks how the proxy does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ProtocolVersion;
use tokio::sync::mpsc::WeakSender;
use tokio::time::Instant;

use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::xml::Stanza;

/// Who opened a stream with a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Partner,
    Proxy,
}

/// A stream with a partner, on which stanzas pass.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) opener: Opener,
    /// What it carries, and how each pair was authenticated.
    pub(crate) pairs: Vec<(Pair, Method)>,
    pub(crate) tls: Option<ProtocolVersion>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) since: Instant,
}

/// A gateway that is connected.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) peer: SocketAddr,
    /// The domains that it gets stanzas for; if there are none, all that have no other gateway.
    pub(crate) domains: Vec<Domain>,
    pub(crate) since: Instant,
    pub(crate) queue: WeakSender<Stanza>,
}

/// The last failure to reach a partner.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) since: Instant,
    pub(crate) reason: String,
}

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<Entries>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    last: u64,
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) gateways: BTreeMap<u64, Gateway>,
    /// By the partner's domain.
    pub(crate) troubles: BTreeMap<Domain, Trouble>,
}

/// A stream or gateway in the register. It is removed with this value.
#[derive(Debug)]
pub(crate) struct Entry {
    register: Arc<Register>,
    number: u64,
}

impl Register {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(self: &Arc<Self>, stream: Stream) -> Entry {
        self.add(|entries, number| drop(entries.streams.insert(number, stream)))
    }

    pub(crate) fn enter_gateway(self: &Arc<Self>, gateway: Gateway) -> Entry {
        self.add(|entries, number| drop(entries.gateways.insert(number, gateway)))
    }

    fn add(self: &Arc<Self>, insert: impl FnOnce(&mut Entries, u64)) -> Entry {
        let mut entries = self.entries();
        entries.last += 1;
        let number = entries.last;
        insert(&mut entries, number);
        Entry {
            register: Arc::clone(self),
            number,
        }
    }

    /// A partner could not be reached. Its domain is one of the configuration, which bounds their number.
    pub(crate) fn failed(&self, domain: &Domain, reason: String, since: Instant) {
        let trouble = Trouble { since, reason };
        self.entries().troubles.insert(domain.clone(), trouble);
    }

    /// Forgets the failures of domains that are no partners any more.
    pub(crate) fn keep(&self, is_partner: impl Fn(&Domain) -> bool) {
        self.entries()
            .troubles
            .retain(|domain, _| is_partner(domain));
    }

    /// All of it as it is now.
    pub(crate) fn snapshot(&self) -> Entries {
        self.entries().clone()
    }
}

impl Entry {
    /// Another pair is carried by the stream.
    pub(crate) fn carries(&self, pair: Pair, method: Method) {
        if let Some(stream) = self.register.entries().streams.get_mut(&self.number) {
            match stream.pairs.iter_mut().find(|(known, _)| *known == pair) {
                Some((_, how)) => *how = method,
                None => stream.pairs.push((pair, method)),
            }
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.register.entries();
        entries.streams.remove(&self.number);
        entries.gateways.remove(&self.number);
    }
}
