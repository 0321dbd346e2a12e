//! Cases: which policy meets which partner in which direction, with stable ids.

use std::sync::Arc;

use simulated_partners::persona::Persona;

use crate::policy::Row;

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The target dials the partner.
    Outbound,
    /// The partner dials the target.
    Inbound,
}

/// A family of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// 18 policies × every persona.
    Personas,
    /// 18 policies × a partner set to each of the 18 policies.
    Policies,
    /// 18 policies × every coherent partner offer.
    Offers,
}

/// One policy, one partner, one direction.
#[derive(Clone, Debug)]
pub struct Case {
    /// Stable and readable: `personas/row07/google-talk/inbound`. Made of `[a-z0-9-]` and `/`.
    pub id: String,
    /// The family.
    pub set: Set,
    /// What the target is set to for the partner's domain.
    pub row: Row,
    /// The partner: from a file, or made for the case (sets `policies` and `offers`).
    pub partner: Arc<Persona>,
    /// Who dials.
    pub direction: Direction,
}
