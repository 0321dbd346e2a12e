//! A partner's options for handshakes besides versions and certificates: sessions, protocols, names.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{ClientConfig, DistinguishedName, Error, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

use super::config::{Demanded, client_config, demanding_server, provider, server_config};
use crate::persona::TlsVersion;
use crate::pki::Identity;

/// The number of sessions that a partner remembers.
const SESSIONS: usize = 32;
/// The early data allowed by its tickets, in bytes.
const EARLY_DATA: u32 = 16_384;
/// `O=Nobody`, without the outermost header.
const NOBODY: [u8; 17] = *b"\x31\x0f\x30\x0d\x06\x03\x55\x04\x0a\x0c\x06Nobody";

/// TLS options of a partner. By default no session is resumed, no application protocol is
/// offered, and the SNI is the target's domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TlsOptions {
    /// It issues tickets that allow early data (RFC 8446 §2.3), and resumes its own sessions.
    pub resumes: bool,
    /// The application protocols that it supports (RFC 7301), best first.
    pub alpn: Vec<String>,
    /// The server name that it sends, with placeholders; empty for none (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The authorities named in its certificate request (RFC 8446 §4.2.4).
    pub hints: AcceptableCas,
    /// The certificate without which it ends the handshake, where it was dialled.
    pub demands: Demand,
}

/// What a server asks of the certificates of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// Any certificate, whatever is in it.
    Certificate,
    /// One of the lab's authority that clients may use: with clientAuth, or without any extended key
    /// usage (RFC 5280 §4.2.1.12). This is what TLS libraries do unless told otherwise.
    ClientAuth,
    /// Nothing.
    #[default]
    Nothing,
}

/// The authorities named in a certificate request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AcceptableCas {
    /// None: any authority will do.
    #[default]
    None,
    /// An authority that issued nothing.
    Strange,
    /// The lab's authority.
    Lab,
}

impl TlsOptions {
    /// The TLS configuration when dialled; see [`server_config`].
    ///
    /// # Errors
    /// When no version is given.
    pub fn server(
        &self,
        identity: Option<&Arc<Identity>>,
        versions: &[TlsVersion],
        roots: &RootCertStore,
    ) -> Result<Arc<ServerConfig>, Error> {
        if *self == Self::default() {
            return server_config(identity, versions);
        }
        let subjects = roots.roots.iter().map(|anchor| &anchor.subject);
        let hints = match self.hints {
            AcceptableCas::None => Vec::new(),
            AcceptableCas::Strange => vec![DistinguishedName::in_sequence(&NOBODY)],
            AcceptableCas::Lab => subjects
                .map(|subject| DistinguishedName::in_sequence(subject))
                .collect(),
        };
        let mut config = demanding_server(identity, versions, hints, self.demand(roots)?)?;
        config.alpn_protocols = self.protocols();
        if self.resumes {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            config.send_tls13_tickets = 1;
            config.max_early_data_size = EARLY_DATA;
        }
        Ok(Arc::new(config))
    }

    /// The TLS configuration when dialling; see [`client_config`].
    ///
    /// # Errors
    /// When no version is given.
    pub fn client(
        &self,
        identity: Option<&Arc<Identity>>,
        versions: &[TlsVersion],
    ) -> Result<Arc<ClientConfig>, Error> {
        let plain = client_config(identity, versions)?;
        if *self == Self::default() {
            return Ok(plain);
        }
        let mut config = ClientConfig::clone(&plain);
        config.alpn_protocols = self.protocols();
        if self.resumes {
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            config.enable_early_data = true;
        }
        config.enable_sni = self.server_name.as_deref() != Some("");
        Ok(Arc::new(config))
    }

    /// The SNI to send, if it differs from the target's domain.
    pub fn asks_for(&self) -> Option<ServerName<'static>> {
        let name = self.server_name.as_ref()?;
        ServerName::try_from(name.clone()).ok()
    }

    /// Who verifies the certificates of clients beside the partner itself.
    fn demand(&self, roots: &RootCertStore) -> Result<Demanded, Error> {
        Ok(match self.demands {
            Demand::Nothing => Demanded::Nothing,
            Demand::Certificate => Demanded::Certificate,
            Demand::ClientAuth => {
                let roots = Arc::new(roots.clone());
                let built = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                Demanded::Verified(built.map_err(|error| Error::General(error.to_string()))?)
            }
        })
    }

    fn protocols(&self) -> Vec<Vec<u8>> {
        let name = |protocol: &String| protocol.as_bytes().to_vec();
        self.alpn.iter().map(name).collect()
    }
}
