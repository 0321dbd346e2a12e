//! Decides which outcomes are allowed for a case. Knows nothing of sockets, runner or proxy.
//!
//! A [`Situation`] goes in and an [`Expectation`] comes out: a rule from the tables in [`outbound`] or
//! [`inbound`], its clause and the set of allowed ends. [`fit`](fit()) compares an outcome with
//! them, [`prohibited::violations`] finds what the target must not do whatever the
//! outcome, and [`second_opinions`] asks other sources about the same case.

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

/// The allowed ends of a case; `None` if its script decides.
pub fn allowed(case: &Case, profile: Profile) -> Option<Expectation> {
    let by_oracle = case.script.by_oracle();
    by_oracle.then(|| expectation(&Situation::of(case, profile)))
}

/// The allowed ends of a situation.
pub fn expectation(situation: &Situation<'_>) -> Expectation {
    let mut given = Premises::of(situation);
    if situation.direction == Direction::Inbound {
        given.verification = verification::verifications(&given, situation.facts);
    }
    rule::decide(rules(situation.direction), &given)
}

/// Whether a stanza in the other direction certainly gets through. The answer to a probe can be
/// awaited only then, because a target that dials with direct TLS need not accept it.
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
