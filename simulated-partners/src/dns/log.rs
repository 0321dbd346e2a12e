//! Who was asked about.

use std::collections::BTreeMap;

use hickory_proto::rr::LowerName;

/// Queries that are remembered for one name.
const QUERIES_OF_A_NAME: usize = 64;
/// Names that are remembered. A target that asks for more is told by [`Log::lost`].
const NAMES: usize = 16_384;

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// The type as in a zone file, such as `SRV`.
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

/// A bounded log by name.
#[derive(Debug, Default)]
pub(super) struct Log {
    by_name: BTreeMap<LowerName, Vec<Query>>,
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
            queries.push(query);
        } else {
            self.lost += 1;
        }
    }

    pub(super) fn of(&self, name: &LowerName) -> Vec<Query> {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn forget_below(&mut self, name: &LowerName) {
        self.by_name.retain(|known, _| !name.zone_of(known));
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}
