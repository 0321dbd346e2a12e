//! What a file says, before its certificates are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::list::List;
use crate::certificate::RevocationPolicy;
use crate::domain::Domain;
use crate::key::Secret;
use crate::limits::Limits;
use crate::negotiation::Validation;
use crate::partner::Partner;

/// The settings of a file, which passed every check that needs no certificate.
///
/// Who administers a proxy writes most of its file before the certificates are there.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The served domains.
    pub domains: Vec<Domain>,
    /// The side towards partners.
    pub external: SideDraft,
    /// Served domains that have a certificate of their own.
    pub own_certificates: Vec<OwnCertificate>,
    /// Where streams to partners leave from, one address of each family.
    pub source: Vec<IpAddr>,
    /// Whether TLS may come before any stream (XEP-0368).
    pub direct_tls: bool,
    /// The side towards the gateway.
    pub internal: SideDraft,
    /// The gateway's certificate must have one of these names.
    pub gateways: Vec<Domain>,
    /// The domains of the gateways that are not for all, by name.
    pub gateway_domains: BTreeMap<Domain, BTreeSet<Domain>>,
    /// The name servers; those of the system if empty.
    pub dns: Vec<SocketAddr>,
    /// Where commands reach the running proxy, if they may.
    pub control: Option<PathBuf>,
    /// Where its metrics are collected, if they may be. A loopback address.
    pub metrics: Option<SocketAddr>,
    /// What the proxies of a pool share for dialback keys; random if absent.
    pub(crate) secret: Option<Secret>,
    /// How strictly partners' terms are checked.
    pub validation: Validation,
    /// Whether a bad certificate ends the TLS handshake.
    pub strict_certificates: bool,
    /// Whether a client's certificate that lists purposes must list clientAuth.
    pub client_auth_eku: bool,
    /// What revocation means for a partner's certificate.
    pub revocation: RevocationPolicy,
    /// Lists of revoked certificates.
    pub crl: Option<List>,
    /// Whether the log has what messages say.
    pub log_message_bodies: bool,
    /// Limits and timeouts.
    pub limits: Limits,
    /// No one else may exchange stanzas with the served domains.
    pub partners: Vec<Partner>,
}

/// One side of the proxy. Certificates are paths relative to the file, or PEM.
#[derive(Clone, Debug)]
pub struct SideDraft {
    /// Where it listens: at least one address.
    pub listen: Vec<SocketAddr>,
    /// What it presents, each leaf first: several with keys of several types.
    pub certificate: List,
    /// The key of each leaf.
    pub key: List,
    /// Who may issue the peers' certificates.
    pub ca: String,
}

/// What is presented as one of the served domains.
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    /// The domain.
    pub domain: Domain,
    /// As [`SideDraft::certificate`].
    pub certificate: List,
    /// As [`SideDraft::key`].
    pub key: List,
}

impl Draft {
    /// Whether the proxies of a pool share a secret for dialback keys. The secret itself is not shown.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// The partner that has exactly this domain.
    #[must_use]
    pub fn partner(&self, domain: &Domain) -> Option<&Partner> {
        let mut partners = self.partners.iter();
        partners.find(|partner| partner.domains().any(|one| one == domain))
    }

    /// Why the partner may not work as expected although its terms are valid.
    #[must_use]
    pub fn warning(&self, partner: &Partner) -> Option<String> {
        let warning = partner.terms.check(self.validation).ok().flatten();
        warning.map(|warning| warning.to_string())
    }
}
