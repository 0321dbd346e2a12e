//! What the oracle is asked: a policy, a partner, a direction.

use simulated_partners::persona::{Facts, Offer};

use crate::case::{Case, Direction};
use crate::policy::{Mode, Policy};

use super::rule::expectation;

/// How the target is to be read, for all cases of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// The reading of a required SASL beside dialback.
    pub mode: Mode,
    /// Whether the target refuses TLS with a certificate that it cannot verify. Where not, a
    /// certificate decides about EXTERNAL only.
    pub strict_certificates: bool,
}

/// One question to the oracle.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the target is set to for the partner's domain.
    pub policy: Policy,
    /// How the target is to be read.
    pub profile: Profile,
    /// Who dials.
    pub direction: Direction,
    /// What the partner offers and uses.
    pub partner: &'a Offer,
    /// How the partner deviates from a correct server.
    pub facts: &'a Facts,
}

impl<'a> Situation<'a> {
    /// The question that a case asks.
    pub fn of(case: &'a Case, profile: Profile) -> Self {
        Self {
            policy: case.row.policy(),
            profile,
            direction: case.direction,
            partner: &case.partner.offer,
            facts: &case.partner.facts,
        }
    }
}

/// Whether a stanza of the other direction certainly gets through: the answer to a probe can be
/// waited for only then.
pub fn return_established(situation: &Situation<'_>) -> bool {
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

#[cfg(test)]
mod tests {
    use simulated_partners::persona::find;

    use super::*;
    use crate::policy::Row;

    #[test]
    fn return_is_certain_only_where_the_other_direction_cannot_be_refused() {
        let returns = |row, name| {
            let persona = find(name).expect("built in");
            return_established(&Situation {
                policy: Row::new(row).expect("1 to 18").policy(),
                profile: Profile::default(),
                direction: Direction::Inbound,
                partner: &persona.offer,
                facts: &persona.facts,
            })
        };
        assert!(returns(7, "modern"));
        // Dialled, this partner refuses EXTERNAL, and the target may leave it at that.
        assert!(!returns(7, "external-refused-kept"));
        assert!(!returns(7, "silent-after-accept"));
    }
}
