//! Keys that a target takes on the strength of a certificate, without asking about them. XEP-0220 §2.1.1 leaves to it
//! how it verifies a key, and one that does without the question shows nothing of how it asks.

use simulated_partners::event::{ConnectionKind, Party};
use simulated_partners::reaction::When;
use simulated_partners::wire::Unit;

use crate::case::{Expect, Role, Script, Sees};
use crate::observe::Observation;

/// Whether the target took a key of this partner's domain under TLS, and had turned to nobody about one.
pub fn takes_unasked(role: &Role, domain: &str, observations: &[Observation]) -> bool {
    let at_role = |one: &&Observation| one.at.as_deref() == Some(&*role.name);
    let is_secured = |one: &Observation| {
        let mut tls = observations.iter().filter(at_role);
        tls.any(|tls| {
            tls.sees == Sees::Tls && tls.connection == one.connection && tls.time <= one.time
        })
    };
    let mut taken = observations.iter().filter(at_role).filter(|one| {
        one.sees == Sees::Unit(Unit::DbResult)
            && one.by == Party::Target
            && one.on == Some(ConnectionKind::Inbound)
            && one.attribute("to") == Some(domain)
            && one.attribute("type") == Some("valid")
            && is_secured(one)
    });
    let asks = |one: &Observation| match one.sees {
        Sees::Connection => true,
        Sees::Unit(Unit::DbVerify) => {
            one.by == Party::Target
                && one.attribute("to") == Some(domain)
                && one.attribute("type").is_none()
        }
        _ => false,
    };
    taken.next().is_some_and(|taken| {
        let mut before = observations.iter().filter(|one| one.time <= taken.time);
        !before.any(asks)
    })
}

/// Whether a script is about the verification of a partner's keys: it wants to see a question or a refusal, or a
/// partner answers questions in its own way.
pub fn is_about_questions(script: &Script) -> bool {
    let is_wanted = |expect: &Expect| {
        let kind = expect.with.get("type").map(String::as_str);
        match expect.sees {
            Sees::Unit(Unit::DbVerify) => true,
            Sees::Unit(Unit::DbResult) => matches!(kind, Some("invalid" | "error")),
            _ => false,
        }
    };
    let mut reactions = script.roles.iter().flat_map(|role| &role.persona.reactions);
    script.expect.iter().any(is_wanted) || reactions.any(|one| one.when == When::DbVerify)
}
