//! The scenarios that no double is known to fail.

use crate::requirement::{Level, Registry};
use crate::scenario::{Doubled, Library, doubled};

/// The scenarios that judge a must or a duty of security, and what is known of the double of each. In
/// order.
pub fn doubles<'a>(library: &'a Library, registry: &Registry) -> Vec<(&'a str, Doubled)> {
    let is_duty = |id: &str| {
        let known = id.parse().ok().and_then(|id| registry.get(&id));
        known.is_some_and(|one| matches!(one.level, Level::Must | Level::Security))
    };
    library
        .files()
        .filter(|(_, file)| file.requirements().into_iter().any(is_duty))
        .map(|(name, _)| (name, doubled(name)))
        .collect()
}
