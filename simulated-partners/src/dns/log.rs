//! A log of DNS queries.

use std::collections::BTreeMap;
use std::ops::Bound;

use hickory_proto::rr::{LowerName, Name};
use tokio::time::Instant;

/// The maximum number of queries kept per name.
const QUERIES_OF_A_NAME: usize = 64;
/// The maximum number of names kept. [`Log::lost`] counts the rest.
const NAMES: usize = 16_384;

/// A query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// The type as in a zone file, such as `SRV`.
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

/// A name and all below it, if they are in the map: in canonical order (RFC 4034 §6.1) they
/// are adjacent.
pub(super) fn below<V>(map: &BTreeMap<LowerName, V>, name: &LowerName) -> Vec<LowerName> {
    map.range((Bound::Included(name), Bound::Unbounded))
        .map(|(known, _)| known)
        .take_while(|known| name.zone_of(known))
        .cloned()
        .collect()
}

/// A bounded log by name.
#[derive(Debug, Default)]
pub(super) struct Log {
    by_name: BTreeMap<LowerName, Vec<(Instant, Query)>>,
    lost: u64,
}

impl Log {
    pub(super) fn record(&mut self, name: &LowerName, query: Query) {
        let room = self.by_name.len() < NAMES || self.by_name.contains_key(name);
        if !room {
            self.lost += 1;
            return;
        }
        let queries = self.by_name.entry(name.clone()).or_default();
        if queries.len() < QUERIES_OF_A_NAME {
            queries.push((Instant::now(), query));
        } else {
            self.lost += 1;
        }
    }

    pub(super) fn of(&self, name: &LowerName) -> Vec<Query> {
        let queries = self.by_name.get(name).into_iter().flatten();
        queries.map(|(_, query)| query.clone()).collect()
    }

    /// Each query with its moment and its name.
    pub(super) fn of_all_below(&self, name: &LowerName) -> Vec<(Instant, String, Query)> {
        below(&self.by_name, name)
            .into_iter()
            .flat_map(|known| {
                // A-labels, as queried: plain text would show U-labels.
                let text = Name::from(known.clone()).to_ascii();
                let text = text.strip_suffix('.').unwrap_or(&text).to_owned();
                let queries = self.by_name.get(&known).cloned().unwrap_or_default();
                let named = move |(at, query)| (at, text.clone(), query);
                queries.into_iter().map(named)
            })
            .collect()
    }

    pub(super) fn forget_below(&mut self, name: &LowerName) {
        for known in below(&self.by_name, name) {
            self.by_name.remove(&known);
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}
