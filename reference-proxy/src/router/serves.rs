//! What gateways get.

use std::collections::BTreeSet;

use crate::domain::Domain;

/// The domains that a gateway gets stanzas for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// All domains without a gateway of their own.
    All,
    Domain(Domain),
    /// These domains, since it is for no others.
    Domains(BTreeSet<Domain>),
}

impl Serves {
    /// Whether it is meant for this domain, and not just for whatever has no other gateway.
    pub(super) fn names(&self, domain: &Domain) -> bool {
        match self {
            Self::All => false,
            Self::Domain(one) => one == domain,
            Self::Domains(some) => some.contains(domain),
        }
    }

    /// The domains that it is meant for.
    pub(crate) fn named(&self) -> Vec<Domain> {
        match self {
            Self::All => Vec::new(),
            Self::Domain(one) => vec![one.clone()],
            Self::Domains(some) => some.iter().cloned().collect(),
        }
    }
}
