//! How a partner is set up.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use super::{CONNECTIONS, Capture};
use crate::board::{Begins, Board};
use crate::persona::Persona;
use crate::pki::{Authority, Identity};
use crate::tls::TlsOptions;

/// How long a partner waits for each step where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// The configuration of a partner.
#[derive(Clone, Debug)]
pub struct PartnerSetup {
    /// The partner's domain.
    pub domain: String,
    /// How it behaves.
    pub persona: Arc<Persona>,
    /// What it shows in handshakes; `None` for a persona without a certificate.
    pub identity: Option<Arc<Identity>>,
    /// Its other behaviour in handshakes.
    pub tls: TlsOptions,
    /// The authorities that it trusts.
    pub roots: Arc<RootCertStore>,
    /// The domain of the server under test that it addresses.
    pub target_domain: String,
    /// Further domains that this server serves.
    pub other_domains: Vec<String>,
    /// The address to dial.
    pub target: SocketAddr,
    /// The address to dial from, where the system has it; otherwise it chooses one.
    pub source: Option<IpAddr>,
    /// The address to dial for direct TLS, if that is another.
    pub direct_tls: Option<SocketAddr>,
    /// The secret of its dialback keys.
    pub secret: String,
    /// How long it waits for each step.
    pub patience: Duration,
    /// When it takes connections. Until then a SYN gets no answer.
    pub accepts: Begins,
    /// Whether it answers IQ requests, on its own connections.
    pub answers: bool,
    /// Whether a refused stanza is sent anyway, right before the end of the stream.
    pub insists: bool,
    /// The seed of its stream ids.
    pub seed: u64,
    /// The board shared with the other partners of its scenario.
    pub board: Board,
    /// Placeholders of its scenario, without the braces, for texts in its reactions.
    pub values: Arc<BTreeMap<String, String>>,
    /// The limit on concurrent connections, from 1 to [`MOST_CONNECTIONS`](super::MOST_CONNECTIONS); more are refused.
    pub connections: usize,
    /// Where to listen; port 0 selects a free one.
    pub listen: SocketAddr,
    /// What records its connections, if anything does.
    pub capture: Option<Capture>,
}

impl PartnerSetup {
    /// A server for a domain that does what its persona says, with a certificate of this authority, which it trusts. It
    /// addresses one domain of a target, answers no requests, and listens on a free port of 127.0.0.1.
    pub fn new(
        authority: &Authority,
        domain: &str,
        persona: Arc<Persona>,
        target_domain: &str,
        target: SocketAddr,
    ) -> Self {
        let offer = &persona.offer;
        Self {
            domain: domain.to_owned(),
            identity: authority.issue(&[domain], offer.certificate, offer.key),
            persona,
            tls: TlsOptions::default(),
            roots: authority.roots(),
            target_domain: target_domain.to_owned(),
            other_domains: Vec::new(),
            target,
            source: None,
            direct_tls: None,
            secret: format!("secret of {domain}"),
            patience: PATIENCE,
            accepts: Begins::Plain(true),
            answers: false,
            insists: false,
            seed: 1,
            board: Board::default(),
            values: Arc::default(),
            connections: CONNECTIONS,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            capture: None,
        }
    }
}
