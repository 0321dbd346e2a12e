//! The configuration of a machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::action::Question;
use super::header::same_domain;
use crate::event::ConnectionKind;
use crate::persona::Persona;
use crate::pki::Identity;
use crate::wire::Element;

/// A partner as its machines need it.
#[derive(Clone, Debug)]
pub struct PartnerConfig {
    /// Its domain.
    pub domain: String,
    /// Its behaviour.
    pub persona: Arc<Persona>,
    /// What it shows in handshakes made by hand.
    pub identity: Option<Arc<Identity>>,
    /// The domain of the server under test that it addresses.
    pub target_domain: String,
    /// Further domains of that server. No other server's address is known.
    pub other_domains: Vec<String>,
    /// The secret of dialback keys (XEP-0185).
    pub secret: String,
    /// How long it waits for each step.
    pub patience: Duration,
    /// Whether it answers IQ requests.
    pub answers: bool,
    /// Whether a refused stanza is sent anyway, right before the end of the stream: a
    /// target that delivers it has not really refused it.
    pub insists: bool,
    /// Placeholders of its scenario, for the texts of its reactions.
    pub values: Arc<BTreeMap<String, String>>,
    /// The seed of its ids.
    pub seed: u64,
}

impl PartnerConfig {
    /// The domains of the server under test, the one that it addresses first.
    pub(super) fn target_domains(&self) -> impl Iterator<Item = &str> {
        let others = self.other_domains.iter();
        std::iter::once(&self.target_domain)
            .chain(others)
            .map(String::as_str)
    }

    /// The domain of the server under test with this name.
    pub(super) fn target_named(&self, name: &str) -> Option<&str> {
        self.target_domains().find(|one| same_domain(one, name))
    }

    /// Whether keys are accepted: dialback is supported and EXTERNAL is not required.
    pub(super) fn accepts_dialback(&self) -> bool {
        self.persona.offer.dialback && !self.persona.offer.needs_external
    }

    /// Whether plaintext is refused.
    pub(super) fn requires_tls(&self) -> bool {
        self.persona.offer.tls.is_demanded()
    }

    /// A stream id that cannot be guessed without the seed and never repeats
    /// (RFC 6120 §4.7.3).
    pub(super) fn stream_id(&self, connection: u16, stream: u32) -> String {
        let mut hashed = Context::new(&SHA256);
        hashed.update(b"stream id");
        hashed.update(&self.seed.to_be_bytes());
        hashed.update(&connection.to_be_bytes());
        hashed.update(&stream.to_be_bytes());
        hashed.update(self.domain.as_bytes());
        crate::negotiate::hex(&hashed.finish().as_ref()[..16])
    }
}

/// The purpose of a connection.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// The target dialled, and decides.
    Serve,
    /// Delivers a stanza to the target.
    Deliver(Element),
    /// Authenticates to the target; stanzas are passed in later, as [`Input::Send`].
    ///
    /// [`Input::Send`]: super::Input::Send
    Enter,
    /// Verifies a key.
    Verify(Question),
}

impl Purpose {
    /// The word in transcripts.
    pub fn kind(&self) -> ConnectionKind {
        match self {
            Self::Serve => ConnectionKind::Outbound,
            Self::Deliver(_) | Self::Enter => ConnectionKind::Inbound,
            Self::Verify(_) => ConnectionKind::Verification,
        }
    }
}
