//! Every persona in both directions against every policy that a real Prosody can express.

use std::sync::Arc;

use s2spec::target::prosody::Prosody;
use s2spec_tests::hold_to_record;

#[test]
fn a_real_prosody_ends_as_the_tables_say() {
    match Prosody::find() {
        Ok(prosody) => hold_to_record("prosody", "prosody 0.12.3", Arc::new(prosody)),
        Err(why) if std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some() => panic!("{why}"),
        Err(why) => eprintln!("nothing tested against Prosody: {why}"),
    }
}
