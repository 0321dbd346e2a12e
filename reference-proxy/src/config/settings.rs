//! All settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::certificate::{Authorities, Credentials, Revocation};
use crate::domain::Domain;
use crate::limits::Limits;
use crate::negotiation::Validation;
use crate::partner::Partner;

/// The side towards partners, or the one towards the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) listen: Vec<SocketAddr>,
    /// What the proxy presents.
    pub(crate) credentials: Credentials,
    /// Who may issue the peers' certificates.
    pub(crate) authorities: Authorities,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The served domains.
    pub(crate) domains: Vec<Domain>,
    pub(crate) external: Side,
    /// What is presented as one of the domains, instead of the external side's credentials.
    pub(crate) own_certificates: BTreeMap<Domain, Credentials>,
    /// Where streams to partners leave from, one address of each family. The system chooses for a family without one.
    pub(crate) source: Vec<IpAddr>,
    /// Whether TLS may come before any stream (XEP-0368).
    pub(crate) direct_tls: bool,
    pub(crate) internal: Side,
    /// The gateway's certificate must have one of these names.
    pub(crate) gateways: Vec<Domain>,
    /// The domains of the gateways that are not for all, by name.
    pub(crate) gateway_domains: BTreeMap<Domain, BTreeSet<Domain>>,
    /// The name servers; those of the system if empty.
    pub(crate) dns: Vec<SocketAddr>,
    /// Where commands reach the running proxy, if they may.
    pub(crate) control: Option<PathBuf>,
    /// Where its metrics are collected, if they may be. A loopback address.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) validation: Validation,
    /// Whether a bad certificate ends the TLS handshake.
    pub(crate) strict_certificates: bool,
    /// What revocation means for partners' certificates, and the lists of it.
    pub(crate) revocation: Revocation,
    /// Whether a client's certificate that lists purposes must list clientAuth.
    pub(crate) client_auth_eku: bool,
    /// Whether the log has what messages say.
    pub(crate) log_message_bodies: bool,
    pub(crate) limits: Limits,
    /// No one else may exchange stanzas with the served domains.
    pub(crate) partners: Vec<Partner>,
}
