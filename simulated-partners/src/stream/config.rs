//! What a machine knows before anything happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::action::Question;
use crate::event::ConnectionKind;
use crate::persona::Persona;
use crate::pki::Identity;
use crate::wire::Element;

/// A partner as its machines need it.
#[derive(Clone, Debug)]
pub struct PartnerConfig {
    /// The domain it speaks for.
    pub domain: String,
    /// How it behaves.
    pub persona: Arc<Persona>,
    /// What it shows in handshakes that are made by hand.
    pub identity: Option<Arc<Identity>>,
    /// The domain of the server under test, the only one whose address is known.
    pub target_domain: String,
    /// What dialback keys are made from (XEP-0185).
    pub secret: String,
    /// How long it waits for each step.
    pub patience: Duration,
    /// Whether it answers IQ requests.
    pub answers: bool,
    /// Whether a stanza that was refused is sent all the same, right before the end of the stream: a
    /// target that lets it through has refused in words only.
    pub insists: bool,
    /// Placeholders of its scenario, for the texts of its reactions.
    pub values: Arc<BTreeMap<String, String>>,
    /// What its ids come from.
    pub seed: u64,
}

impl PartnerConfig {
    /// Whether keys are accepted at all: dialback is spoken and EXTERNAL is not insisted on.
    pub(super) fn accepts_dialback(&self) -> bool {
        self.persona.offer.dialback && !self.persona.offer.needs_external
    }

    /// Whether nothing may happen in clear.
    pub(super) fn requires_tls(&self) -> bool {
        self.persona.offer.tls.is_demanded()
    }

    /// A stream id that nobody can guess without the seed and that never comes back
    /// (RFC 6120 §4.7.3).
    pub(super) fn stream_id(&self, connection: u16, stream: u32) -> String {
        let digest = Sha256::new()
            .chain_update(b"stream id")
            .chain_update(self.seed.to_be_bytes())
            .chain_update(connection.to_be_bytes())
            .chain_update(stream.to_be_bytes())
            .chain_update(self.domain.as_bytes())
            .finalize();
        crate::negotiate::hex(&digest[..16])
    }
}

/// What a connection is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// The target dialled; it decides.
    Serve,
    /// Gets a stanza to the target.
    Deliver(Element),
    /// Authenticates to the target; stanzas are handed in later, as [`Input::Send`].
    ///
    /// [`Input::Send`]: super::Input::Send
    Enter,
    /// Has a key checked.
    Verify(Question),
}

impl Purpose {
    /// The word for it in a transcript.
    pub fn kind(&self) -> ConnectionKind {
        match self {
            Self::Serve => ConnectionKind::Outbound,
            Self::Deliver(_) | Self::Enter => ConnectionKind::Inbound,
            Self::Verify(_) => ConnectionKind::Verification,
        }
    }
}
