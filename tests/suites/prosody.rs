//! A real Prosody: every persona in both directions against every policy that it supports, and the
//! areas of the conformance suite in which nothing waits for long.

use std::sync::Arc;

use crate::support::{built_in, hold_to_record};

/// Without their hostile scenarios, no case in these waits for its deadline.
const AREAS: [&str; 10] = [
    "bidi",
    "certificates",
    "dialback-keys",
    "dane-posh",
    "dialback-certificates",
    "idle",
    "ping",
    "sasl",
    "tls-versions",
    "xml",
];

#[test]
fn a_real_prosody_ends_as_recorded() {
    if let Some(prosody) = built_in("prosody") {
        hold_to_record("prosody", "prosody 0.12.3", Arc::new(prosody), &AREAS, &[]);
    }
}
