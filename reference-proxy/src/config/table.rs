//! The tables of the file, as they are written there.

use std::path::PathBuf;

use serde::Deserialize;

use super::list::List;
use super::spelling;
use crate::certificate::RevocationPolicy;
use crate::limits::Limits;
use crate::negotiation::{Support, Validation};
use crate::partner::PartnerType;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) domains: Vec<String>,
    pub(super) external: ExternalTable,
    pub(super) internal: InternalTable,
    #[serde(default)]
    pub(super) dns: Vec<String>,
    pub(super) control: Option<PathBuf>,
    pub(super) metrics: Option<String>,
    pub(super) secret: Option<String>,
    #[serde(default)]
    pub(super) validation: Validation,
    #[serde(default)]
    pub(super) strict_certificates: bool,
    #[serde(default)]
    pub(super) client_auth_eku: bool,
    #[serde(default)]
    pub(super) revocation: RevocationPolicy,
    #[serde(default)]
    pub(super) log_message_bodies: bool,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) partner: Vec<PartnerTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExternalTable {
    pub(super) listen: Option<List>,
    pub(super) source: Option<List>,
    pub(super) certificate: List,
    pub(super) key: List,
    pub(super) ca: String,
    pub(super) crl: Option<List>,
    #[serde(default)]
    pub(super) direct_tls: bool,
    #[serde(default)]
    pub(super) own_certificate: Vec<OwnCertificateTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnCertificateTable {
    pub(super) domain: String,
    pub(super) certificate: List,
    pub(super) key: List,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InternalTable {
    pub(super) listen: Option<List>,
    pub(super) certificate: List,
    pub(super) key: List,
    pub(super) ca: String,
    pub(super) gateways: Vec<GatewayEntry>,
}

/// A gateway for all domains, or for some.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a name, or a table with `name` and `domains`"
)]
pub(super) enum GatewayEntry {
    Name(String),
    Restricted(RestrictedGateway),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestrictedGateway {
    pub(super) name: String,
    pub(super) domains: Vec<String>,
}

/// What a file says of a partner.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PartnerTable {
    pub(super) domain: String,
    #[serde(default)]
    pub(super) additional_domains: Vec<String>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default, rename = "type", deserialize_with = "spelling::word")]
    pub(super) kind: PartnerType,
    #[serde(default, deserialize_with = "spelling::word")]
    pub(super) tls: Support,
    #[serde(default, deserialize_with = "spelling::word")]
    pub(super) sasl: Support,
    #[serde(default = "yes")]
    pub(super) dialback: bool,
    #[serde(default = "yes")]
    pub(super) keep_alive: bool,
    #[serde(default = "yes")]
    pub(super) multiplexing: bool,
    #[serde(default)]
    pub(super) bidirectional: bool,
    #[serde(default)]
    pub(super) stream_management: bool,
    pub(super) connection_limit: Option<usize>,
    pub(super) proxy_fqdn: Option<String>,
}

fn yes() -> bool {
    true
}
