//! A real Prosody: every persona in both directions against every policy that it can express, and the
//! areas of the conformance suite in which nothing waits for long.

mod support;

use std::sync::Arc;

use s2spec::subject::prosody::Prosody;

use support::hold_to_record;

/// Without their hostile scenarios, no case of these waits until its deadline.
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

#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
fn prosody() -> Option<Prosody> {
    match Prosody::find() {
        Ok(prosody) => Some(prosody),
        Err(why) if std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("nothing tested against Prosody: {why}");
            None
        }
    }
}

#[test]
fn a_real_prosody_ends_as_recorded() {
    if let Some(prosody) = prosody() {
        hold_to_record("prosody", "prosody 0.12.3", Arc::new(prosody), &AREAS);
    }
}
