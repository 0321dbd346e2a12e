//! One federated partner, as the cmdlets' parameters describe it.

use serde::Deserialize;

use crate::domain::{Domain, ProxyAddress};
use crate::negotiation::Negotiation;

/// How far a partner vouches for its users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerType {
    /// High trust: the same enterprise or a business relation.
    Federated,
    /// A public provider that is trusted to vouch for its users.
    PublicVerified,
    /// A public provider that is not.
    #[default]
    PublicUnverified,
}

/// A partner that may exchange stanzas with the served domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The domain that identifies the partner.
    pub domain: Domain,
    /// Further domains of the same partner, each matched exactly.
    pub additional_domains: Vec<Domain>,
    /// Free text for whoever runs the proxy.
    pub description: String,
    /// How far the partner vouches for its users; the gateway's business, carried for it.
    pub kind: PartnerType,
    /// What is negotiated on streams to and from the partner.
    pub negotiation: Negotiation,
    /// Whether the partner has to send something within each keep-alive interval.
    pub keep_alive: bool,
    /// Most connections at once, both directions; the general limit where absent.
    pub connection_limit: Option<u32>,
    /// Where the partner's proxy is; found through SRV records where absent.
    pub proxy: Option<ProxyAddress>,
}

impl Partner {
    /// A partner with the cmdlets' defaults: TLS and SASL required, dialback and keep-alive on,
    /// public and unverified.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            additional_domains: Vec::new(),
            description: String::new(),
            kind: PartnerType::default(),
            negotiation: Negotiation::default(),
            keep_alive: true,
            connection_limit: None,
            proxy: None,
        }
    }

    /// All domains of the partner, the identifying one first.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.domain).chain(&self.additional_domains)
    }
}
