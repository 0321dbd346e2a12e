//! Checks whether a target's dialback keys could be made without its secret (XEP-0185 §2).

use simulated_partners::event::Party;
use simulated_partners::negotiate::guess;

use crate::case::Sees;
use crate::observe::Observation;

/// How one of the keys in `sights` can be made without a secret, if it can.
pub(super) fn way(found: &[&Observation], observations: &[Observation]) -> Option<String> {
    found.iter().find_map(|observation| {
        let key = observation.element.as_ref()?.content();
        let way = guess::way(
            &key,
            stream_id(observation, observations)?,
            observation.attribute("to").unwrap_or_default(),
            observation.attribute("from").unwrap_or_default(),
        )?;
        Some(format!("the key `{}` takes no secret: {way}", key.trim()))
    })
}

/// The id that the partner gave the stream of an observation.
fn stream_id<'a>(observation: &Observation, observations: &'a [Observation]) -> Option<&'a str> {
    let header = |other: &&Observation| {
        other.sees == Sees::Header
            && other.by == Party::Partner
            && other.at == observation.at
            && other.connection == observation.connection
            && other.time <= observation.time
    };
    observations.iter().rev().find(header)?.attribute("id")
}
