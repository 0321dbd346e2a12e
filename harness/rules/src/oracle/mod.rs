//! Which outcomes the tables allow for a case. Knows nothing of sockets, runner or proxy.
//!
//! A [`Situation`] goes in, an [`Expectation`] comes out: a rule of the tables in [`outbound`] or
//! [`inbound`], its clause and the set of allowed ends. [`fit`](fit()) says whether an outcome, a
//! refusal with its reason, is one of them, [`prohibited::violations`] what the target did of what it
//! may not do whatever the end is, and [`second_opinions`] what other sources say of the same case.

pub mod classes;
mod fit;
pub mod inbound;
mod opinion;
pub mod outbound;
mod premises;
pub mod prohibited;
mod refusal;
mod rule;
mod situation;
mod verification;
pub mod xep0238;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod worked_cells;

use simulated_partners::persona::Tls;

use crate::case::{Case, Direction};
use crate::expectation::Expectation;

pub use fit::fit;
pub use opinion::{Opinion, second_opinions};
pub use premises::{CertificateClass, Premises, Verification};
pub use refusal::Match;
pub use rule::Rule;
pub use situation::{Profile, Situation};

/// The table of a direction, in order.
pub fn rules(direction: Direction) -> &'static [Rule] {
    match direction {
        Direction::Outbound => &outbound::RULES,
        Direction::Inbound => &inbound::RULES,
    }
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    Direction::ALL
        .iter()
        .flat_map(|direction| rules(*direction))
        .find(|rule| rule.id == id)
}

/// What a case may end in. None where its scenario says what is allowed.
pub fn allowed(case: &Case, profile: Profile) -> Option<Expectation> {
    case.scenario()
        .is_none()
        .then(|| expectation(&Situation::of(case, profile)))
}

/// What a situation may end in.
pub fn expectation(situation: &Situation<'_>) -> Expectation {
    let mut given = Premises::of(situation);
    if situation.direction == Direction::Inbound {
        given.verification = verification::verifications(&given, situation.facts);
    }
    rule::decide(rules(situation.direction), &given)
}

/// Whether a stanza of the other direction certainly gets through: the answer to a probe can be
/// waited for only then. A target that dials with direct TLS need not take it.
pub fn return_established(situation: &Situation<'_>) -> bool {
    if situation.direction == Direction::Outbound && situation.partner.tls == Tls::Direct {
        return false;
    }
    let direction = match situation.direction {
        Direction::Outbound => Direction::Inbound,
        Direction::Inbound => Direction::Outbound,
    };
    expectation(&Situation {
        direction,
        ..*situation
    })
    .unanimously_established()
}
