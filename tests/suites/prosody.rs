//! A real Prosody: every case that it can be set up for.

use std::sync::Arc;

use crate::support::{built_in, hold_to_record};

#[test]
fn a_real_prosody_ends_as_recorded() {
    if let Some(prosody) = built_in("prosody") {
        hold_to_record("prosody", "prosody 0.12.3", Arc::new(prosody));
    }
}
