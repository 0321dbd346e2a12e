//! Whether somebody could make a target's dialback keys without its secret (XEP-0185 §2).

use simulated_partners::event::Party;
use simulated_partners::negotiate::guess;

use crate::case::Sees;
use crate::observe::Sight;

/// How one of the keys that were found among `sights` is made without a secret, where it is.
pub(super) fn way(found: &[&Sight], sights: &[Sight]) -> Option<String> {
    found.iter().find_map(|sight| {
        let key = sight.element.as_ref()?.content();
        let way = guess::way(
            &key,
            stream_id(sight, sights)?,
            sight.attribute("to").unwrap_or_default(),
            sight.attribute("from").unwrap_or_default(),
        )?;
        Some(format!("the key `{}` takes no secret: {way}", key.trim()))
    })
}

/// The id that the partner gave the stream on which something was seen.
fn stream_id<'a>(sight: &Sight, sights: &'a [Sight]) -> Option<&'a str> {
    let header = |other: &&Sight| {
        other.sees == Sees::Header
            && other.by == Party::Partner
            && other.at == sight.at
            && other.leg == sight.leg
            && other.time <= sight.time
    };
    sights.iter().rev().find(header)?.attribute("id")
}
