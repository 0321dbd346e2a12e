//! A federated partner, as described by the cmdlets' parameters.

use serde::Deserialize;
use strum::Display;

use crate::domain::{Domain, ProxyAddress};
use crate::negotiation::Terms;

/// How far a partner is trusted to vouch for its users.
#[derive(Clone, Copy, Debug, Default, Display, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PartnerType {
    /// High trust: the same enterprise or a business relation.
    Federated,
    /// A public provider that is trusted to vouch for its users.
    PublicVerified,
    /// Any other public provider.
    #[default]
    PublicUnverified,
}

impl PartnerType {
    /// Whether its users may read the status notes in the presence of local users.
    pub(crate) fn sees_status_notes(self) -> bool {
        match self {
            Self::Federated => true,
            Self::PublicVerified | Self::PublicUnverified => false,
        }
    }
}

/// A partner that may exchange stanzas with the served domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The domain that identifies the partner.
    pub domain: Domain,
    /// Further domains of the same partner, each matched exactly.
    pub additional_domains: Vec<Domain>,
    /// Free text for administrators.
    pub description: String,
    /// Decides here only about status notes; the rest is up to the gateway.
    pub kind: PartnerType,
    /// What is negotiated with it.
    pub terms: Terms,
    /// Whether several domain pairs may share a stream to the partner (XEP-0220 §2.6).
    pub multiplexing: bool,
    /// Whether stanzas may go both ways on a stream, if the partner agrees (XEP-0288).
    pub bidirectional: bool,
    /// Whether stanzas are acknowledged and lost streams resumed, if the partner agrees (XEP-0198).
    pub stream_management: bool,
    /// Whether the partner must send something within each keep-alive interval.
    pub keep_alive: bool,
    /// The maximum number of concurrent connections, in both directions, if not the general limit.
    pub connection_limit: Option<usize>,
    /// Where the partner's proxy is; found through SRV records if absent.
    pub proxy: Option<ProxyAddress>,
}

impl Partner {
    /// All domains of the partner, the identifying one first.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.domain).chain(&self.additional_domains)
    }
}

/// A partner of row 1 with the defaults of a file.
#[cfg(test)]
pub(crate) fn partner(domain: &str) -> Partner {
    use crate::negotiation::Support;
    Partner {
        domain: Domain::parse(domain).expect("a domain"),
        additional_domains: Vec::new(),
        description: String::new(),
        kind: PartnerType::default(),
        terms: Terms {
            tls: Support::Required,
            sasl: Support::Required,
            dialback: true,
        },
        multiplexing: true,
        bidirectional: false,
        stream_management: false,
        keep_alive: true,
        connection_limit: None,
        proxy: None,
    }
}
