//! The configuration of a gateway. A [`Config`] is proof that a file passed every check.

mod draft;
mod file;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reference_proxy::wire::{Authorities, Credentials, Domain, seconds};
use serde::Deserialize;

pub use draft::{Draft, NamedPolicy};

use crate::directory::Directory;

/// What a gateway runs by.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who there is, and who may talk to whom.
    pub directory: Directory,
    /// Where contact lists and subscriptions are kept. Without a file they are lost with the process.
    pub(crate) state: Option<PathBuf>,
    /// The Unix socket where local users sign in.
    pub(crate) local: Option<PathBuf>,
    /// The Unix socket where commands have it read its file again.
    pub(crate) control: Option<PathBuf>,
    /// What the gateway shows to proxies.
    pub(crate) credentials: Credentials,
    /// Who may have issued the proxies' certificates.
    pub(crate) authorities: Authorities,
    /// The name in the gateway's stream header.
    pub(crate) name: Domain,
    /// The proxies of the pool, the preferred one first.
    pub(crate) proxies: Vec<ProxySettings>,
    pub(crate) limits: Limits,
}

/// One proxy of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySettings {
    /// Host and port of its internal side.
    pub(crate) address: String,
    /// The name that its certificate has to have.
    pub(crate) name: Domain,
}

/// Limits and timeouts, as in `[limits]` of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Limits {
    /// How often subscriptions are refreshed: SubscriptionRefreshInterval.
    #[serde(deserialize_with = "seconds")]
    pub(crate) subscription_refresh_interval: Duration,
    /// How often a blank is sent over an idle link, and how long the proxy's system may take to
    /// acknowledge it.
    #[serde(deserialize_with = "seconds")]
    pub(crate) keep_alive_interval: Duration,
    /// The longest time from the attempt to connect to an open link, and for one write.
    #[serde(deserialize_with = "seconds")]
    pub(crate) establishment_timeout: Duration,
    /// The longest time that a graceful stop takes.
    #[serde(deserialize_with = "seconds")]
    pub(crate) stop_timeout: Duration,
    /// Bytes of one stanza.
    pub(crate) stanza_bytes: usize,
    /// Stanzas waiting for one link, and for one session.
    pub(crate) queue_stanzas: usize,
    /// Contacts of one user.
    pub(crate) contacts: usize,
    /// Sessions of all users.
    pub(crate) sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subscription_refresh_interval: Duration::from_secs(28_800),
            keep_alive_interval: Duration::from_secs(30),
            establishment_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(5),
            stanza_bytes: 262_144,
            queue_stanzas: 4096,
            contacts: 1000,
            sessions: 1000,
        }
    }
}

impl Limits {
    /// Those that need a restart, with the others at their defaults.
    pub(crate) fn without_rules(&self) -> Self {
        let Self {
            subscription_refresh_interval,
            contacts,
            ..
        } = Self::default();
        Self {
            subscription_refresh_interval,
            contacts,
            ..self.clone()
        }
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

pub use reference_proxy::config::ConfigError;

#[cfg(test)]
mod tests;
