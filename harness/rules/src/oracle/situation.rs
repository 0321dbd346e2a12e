//! The input of the oracle: a policy, a partner and a direction.

use simulated_partners::persona::{Deviations, Offer};

use crate::case::{Case, Direction};
use crate::policy::{Mode, Policy};

/// How to interpret the target's settings, for all cases of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// How to interpret required SASL combined with dialback.
    pub mode: Mode,
    /// Whether the target refuses TLS with an invalid certificate. If not, a
    /// certificate only decides about EXTERNAL.
    pub strict_certificates: bool,
}

/// One input of the oracle.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// How the target is configured for the partner's domain.
    pub policy: Policy,
    /// How to interpret its settings.
    pub profile: Profile,
    /// Who dials.
    pub direction: Direction,
    /// What the partner offers and uses.
    pub partner: &'a Offer,
    /// How the partner deviates from a correct server.
    pub facts: &'a Deviations,
}

impl<'a> Situation<'a> {
    /// The situation of a case.
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
