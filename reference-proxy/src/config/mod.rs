//! What the proxy is told: its own two sides, its partners, its limits.
//!
//! [`Config`] is proof that [`Settings`] passed every check, whether they came from a
//! [file](Config::load) or from an [embedding program](Config::checked).

mod check;
mod file;
mod report;
mod seconds;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

#[cfg(test)]
pub(crate) mod tests;

pub use check::{PartnerField, Place, Problem, Refused};
pub use file::ConfigError;

use crate::certificate::{Authorities, Credentials};
use crate::domain::{Domain, XMPP_SERVER_PORT};
use crate::key::{DialbackKeys, Secret};
use crate::limits::Limits;
use crate::negotiation::{Validation, Warning};
use crate::partner::Partner;

/// The port of the internal side, where the gateway connects.
pub const GATEWAY_PORT: u16 = 23456;

/// The side towards partners.
#[derive(Clone, Debug)]
pub struct External {
    /// Where partners connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What the proxy presents, as server and as client.
    pub credentials: Credentials,
    /// Who may have issued the partners' certificates.
    pub authorities: Authorities,
    /// Whether TLS may come first, before any stream (XEP-0368): on this port, and where a partner's
    /// records say so.
    pub direct_tls: bool,
}

impl External {
    /// The external side on its default address, `0.0.0.0:5269`.
    #[must_use]
    pub fn new(credentials: Credentials, authorities: Authorities) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, XMPP_SERVER_PORT)),
            credentials,
            authorities,
            direct_tls: false,
        }
    }
}

/// The side towards the gateway: mutual TLS from the first byte.
#[derive(Clone, Debug)]
pub struct Internal {
    /// Where the gateway connects; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What the proxy presents.
    pub credentials: Credentials,
    /// Who may have issued the gateway's certificate.
    pub authorities: Authorities,
    /// The names of the gateways; a gateway's certificate has to carry one of them.
    pub gateways: Vec<Domain>,
}

impl Internal {
    /// The internal side on its default address, `127.0.0.1:23456`.
    #[must_use]
    pub fn new(credentials: Credentials, authorities: Authorities, gateways: Vec<Domain>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, GATEWAY_PORT)),
            credentials,
            authorities,
            gateways,
        }
    }
}

/// All that can be set, not yet checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domains that the proxy serves.
    pub domains: Vec<Domain>,
    /// The side towards partners.
    pub external: External,
    /// The side towards the gateway.
    pub internal: Internal,
    /// The name servers; those of the system where empty.
    pub dns: Vec<SocketAddr>,
    /// What the proxies of a pool share for dialback keys; a random one where absent.
    pub secret: Option<Secret>,
    /// Where the choice among SRV records of equal priority starts; random where absent.
    pub seed: Option<u64>,
    /// How strictly the partners' rows are judged.
    pub validation: Validation,
    /// Whether a bad certificate ends the TLS handshake.
    pub strict_certificates: bool,
    /// Whether a client's certificate that lists purposes has to list clientAuth.
    pub client_auth_eku: bool,
    /// What is bounded, and how.
    pub limits: Limits,
    /// Who may exchange stanzas with the served domains; nobody else may.
    pub partners: Vec<Partner>,
}

impl Settings {
    /// Settings with the defaults for all that is not given, and without partners.
    #[must_use]
    pub fn new(domains: Vec<Domain>, external: External, internal: Internal) -> Self {
        Self {
            domains,
            external,
            internal,
            dns: Vec::new(),
            secret: None,
            seed: None,
            validation: Validation::default(),
            strict_certificates: false,
            client_auth_eku: false,
            limits: Limits::default(),
            partners: Vec::new(),
        }
    }
}

/// A partner whose row loads, but with a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The domain that identifies the partner.
    pub domain: Domain,
    /// Number of the row, 1 to 18.
    pub row: u8,
    /// What may go wrong.
    pub warning: Warning,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            row,
            warning,
        } = self;
        write!(f, "partner {domain}, row {row}: {warning}")
    }
}

/// Settings that passed every check. It does not change any more.
#[derive(Clone, Debug)]
pub struct Config {
    settings: Settings,
    served: BTreeSet<Domain>,
    /// Each partner's domains, with the partner's place in the settings.
    partners: BTreeMap<Domain, usize>,
    keys: DialbackKeys,
    seed: u64,
    warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Checks settings by the rules that a file is checked by.
    ///
    /// # Errors
    /// [`Refused`] with all that is wrong.
    pub fn checked(settings: Settings) -> Result<Self, Refused> {
        check::check(settings)
    }

    /// Reads a TOML text; paths in it are relative to the folder of `file_name`, which messages
    /// also name.
    ///
    /// # Errors
    /// [`ConfigError`] with each mistake, its line, and what would be valid.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        file::from_toml(text, Path::new(file_name))
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`] where the file cannot be read, or as for [`Config::from_toml`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        file::load(path)
    }

    /// The settings, as they are.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the proxy serves the domain.
    #[must_use]
    pub fn serves(&self, domain: &Domain) -> bool {
        self.served.contains(domain)
    }

    /// The partner that has exactly this domain.
    #[must_use]
    pub fn partner(&self, domain: &Domain) -> Option<&Partner> {
        let place = *self.partners.get(domain)?;
        self.settings.partners.get(place)
    }

    /// Issues and checks dialback keys from the shared secret.
    #[must_use]
    pub fn keys(&self) -> &DialbackKeys {
        &self.keys
    }

    /// Where the choice among SRV records of equal priority starts.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The partners whose rows may disappoint.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }
}
