//! What a simulated server offers and how it behaves: the contents of a persona file.
//!
//! Start at [`builtin`] for the built-in ones and at [`Persona::load`] for others.

mod builtin;
mod check;
mod file;
mod write;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::reaction::Reaction;

pub use builtin::{builtin, files, find};

pub use crate::diagnostic::{Diagnostic as Mistake, Diagnostics as Mistakes};

/// A named kind of partner, read from `personas/<name>.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// The file's name without its extension.
    pub name: String,
    /// A one-line description.
    pub title: String,
    /// Real software that behaves like this, in one line, if known.
    pub seen_in: Option<String>,
    /// What it offers and requires.
    pub offer: Offer,
    /// Its deviations as facts, in the words of the standards.
    pub facts: Deviations,
    /// Its deviations from a correct server, as reactions.
    pub reactions: Vec<Reaction>,
}

impl Persona {
    /// A partner without deviations.
    pub fn correct(name: &str, title: &str, offer: Offer) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            seen_in: None,
            offer,
            facts: Deviations::default(),
            reactions: Vec::new(),
        }
    }
}

/// What a partner offers when dialled, uses when dialling, and requires in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Offer {
    /// STARTTLS: never, if the other side wants it, or always.
    pub tls: Tls,
    /// EXTERNAL is offered after TLS to peers with a valid certificate, and used where it is offered.
    pub external: bool,
    /// EXTERNAL is also offered before TLS, which RFC 6120 §6.3.4 forbids.
    #[serde(default)]
    pub external_on_plaintext: bool,
    /// The partner takes part in dialback.
    pub dialback: bool,
    /// It refuses dialback on a stream whose header does not declare `xmlns:db`
    /// (XEP-0220 §2.4.1).
    #[serde(default)]
    pub insists_on_db_namespace: bool,
    /// It gives up without EXTERNAL, and refuses dialback.
    #[serde(default)]
    pub needs_external: bool,
    /// Which certificate it shows, in both TLS roles.
    #[serde(default)]
    pub certificate: Certificate,
    /// The type of the certificate's key.
    #[serde(default)]
    pub key: Key,
    /// The TLS versions that it supports.
    #[serde(default = "Offer::both_versions")]
    pub tls_versions: Vec<TlsVersion>,
}

impl Offer {
    fn both_versions() -> Vec<TlsVersion> {
        TlsVersion::VARIANTS.to_vec()
    }
}

/// A partner's use of STARTTLS.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, Display,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Tls {
    /// Not offered, not used.
    None,
    /// Offered alongside other features; used where offered.
    Offered,
    /// Required.
    Required,
    /// Direct TLS (XEP-0368) when dialled, with `_xmpps-server` records only, and when
    /// dialling. Other servers' keys are verified over STARTTLS.
    Direct,
}

impl Tls {
    /// Whether plaintext is refused.
    pub fn is_demanded(self) -> bool {
        matches!(self, Self::Required | Self::Direct)
    }
}

/// The certificate a partner shows.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Certificate {
    /// For its own domain, from the lab's authority, both key usages.
    #[default]
    Good,
    /// Expired.
    Expired,
    /// Valid from tomorrow on.
    NotYetValid,
    /// For another domain.
    WrongName,
    /// Signed by its own key.
    SelfSigned,
    /// From an untrusted authority.
    UnknownCa,
    /// Valid, but with serverAuth as its only extended key usage.
    NoClientAuth,
    /// Valid, but the intermediate certificate is not sent.
    MissingIntermediate,
    /// None: no handshake as a server, no client certificate as a client.
    None,
}

/// Algorithm of a certificate's key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Key {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "p256")]
    P256,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa2048")]
    Rsa2048,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// A protocol version supported by rustls.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    #[strum(serialize = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    #[strum(serialize = "1.3")]
    V13,
}

/// Deviations as facts that an oracle understands. Anything not named follows the standards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Deviations {
    /// Its behaviour as a listening server, before any negotiation.
    pub stream: StreamFact,
    /// Its behaviour with `<starttls/>` and the handshake.
    pub starttls: StarttlsFact,
    /// Its SASL server's answer to EXTERNAL.
    pub external: ExternalFact,
    /// Its answers as the authoritative server for its own domain.
    pub authority: AuthorityFact,
}

/// A listening partner's behaviour with a new stream.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StreamFact {
    /// Answers with header and features.
    #[default]
    Normal,
    /// Its header has no `version`, and no features follow.
    NoVersion,
    /// Its header has no `id`.
    NoId,
    /// Accepts TCP and never says anything.
    Silent,
    /// Resets the connection instead of sending features.
    ResetAtFeatures,
    /// When dialling, its header has no `from` before TLS (RFC 6120 §4.7.1).
    LateName,
}

/// Its behaviour with TLS.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StarttlsFact {
    /// `<proceed/>` and a correct handshake.
    #[default]
    Proceeds,
    /// As a listener: `<failure/>` and close. As a dialler: no deviation.
    Refused,
    /// After `<proceed/>` (sent or received) the handshake breaks with garbage.
    Broken,
    /// After `<proceed/>` (sent or received) it speaks TLS 1.0 only.
    Legacy,
}

/// A listening partner's answer to `<auth mechanism='EXTERNAL'/>`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExternalFact {
    /// `<success/>` for a good certificate.
    #[default]
    Accepted,
    /// `<failure/>`, and the stream stays open.
    RefusedKept,
    /// `<failure/>`, then the stream is closed.
    RefusedClosed,
}

/// A partner's answer to db:verify for its own domain.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityFact {
    /// Correctly.
    #[default]
    Truthful,
    /// Always `invalid`.
    Invalid,
    /// `valid`, but from another domain.
    WrongDomain,
    /// Never.
    Silent,
    /// DNS points to a port without a listener.
    Unreachable,
}
