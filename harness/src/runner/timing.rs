//! Where the time of a case went, from its events.

use std::time::Duration;

use simulated_partners::event::{Event, Party, What};

use super::record::Timings;
use crate::judge::deciding_leg;
use crate::matrix::Direction;

/// Splits the time of the deciding leg.
pub(super) fn timings(direction: Direction, events: &[Event], total: Duration) -> Timings {
    let Some(leg) = deciding_leg(direction, events) else {
        return Timings {
            total,
            ..Timings::default()
        };
    };
    let at = |wanted: &dyn Fn(&What) -> bool| {
        events
            .iter()
            .find(|event| event.leg == leg && wanted(&event.what))
            .map(|event| event.at)
    };
    let opened = at(&|what| matches!(what, What::Opened(_)));
    let secured = at(&|what| matches!(what, What::TlsUp(_)));
    let proceed = at(&|what| {
        use simulated_partners::wire::NS_TLS;
        [Party::Target, Party::Partner].into_iter().any(|party| {
            crate::judge::element_from(what, party).is_some_and(|e| e.is(NS_TLS, "proceed"))
        })
    });
    let trusted = at(&|what| matches!(what, What::Established(_)));
    let between = |from: Option<Duration>, to: Option<Duration>| Some(to?.saturating_sub(from?));
    Timings {
        connect: opened,
        tls: between(proceed, secured),
        auth: between(secured.or(opened), trusted),
        probe: trusted.map(|trusted| total.saturating_sub(trusted)),
        total,
    }
}
