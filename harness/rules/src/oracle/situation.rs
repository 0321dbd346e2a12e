//! What the oracle is asked: a policy, a partner, a direction.

use simulated_partners::persona::{Deviations, Offer};

use crate::case::{Case, Direction};
use crate::policy::{Mode, Policy};

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
    pub facts: &'a Deviations,
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
