//! Certificate specifications as in a file.

use serde::{Deserialize, Serialize};
use strum::Display;

use super::alt_name::AltName;
use super::offset::Offset;
use crate::persona::Certificate;
use crate::pki::key::KeyKind;

/// The domain in [`Certificate::WrongName`].
const SOMEBODY_ELSE: &str = "somebody-else.example";

/// A certificate with its chain and the key that signs with it. By default everything is as in a valid
/// one: for the partner's own domain, from the lab's authority, for clients and servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CertificateSpec {
    /// Its domains, each in all usual forms; `["{domain}"]` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// The subject alternative names individually, instead of `domains`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<AltName>>,
    /// No subject alternative names.
    #[serde(skip_serializing_if = "is_false")]
    pub no_san: bool,
    /// The common name in the subject; by default the first of `domains`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Its subject is empty, and its alternative names are critical for that (RFC 5280 §4.1.2.6).
    #[serde(skip_serializing_if = "is_false")]
    pub empty_subject: bool,
    /// The start of its validity; `-1d` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Offset>,
    /// The end of its validity; `+365d` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Offset>,
    /// Algorithm and size of its key.
    #[serde(skip_serializing_if = "is_default")]
    pub key: KeyKind,
    /// A public key without a private one. The handshake is signed with a key of type `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The extended key usages (RFC 5280 §4.2.1.12); an empty list omits the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_key_usage: Option<Vec<ExtendedKeyUsage>>,
    /// The key usages (RFC 5280 §4.2.1.3); an empty list omits the extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<Vec<KeyUsage>>,
    /// Basic constraints say that it belongs to an authority (RFC 5280 §4.2.1.9).
    #[serde(skip_serializing_if = "is_false")]
    pub ca: bool,
    /// An unknown critical extension (RFC 5280 §4.2).
    #[serde(skip_serializing_if = "is_false")]
    pub unknown_critical_extension: bool,
    /// TLS feature status_request, "must staple" (RFC 7633).
    #[serde(skip_serializing_if = "is_false")]
    pub must_staple: bool,
    /// This many bytes in an extension that may be ignored, to make it big.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(range(max = 4_194_304)))]
    pub padding: u32,
    /// Its issuer.
    #[serde(skip_serializing_if = "is_default")]
    pub issuer: IssuedBy,
    /// Peculiarities of the intermediate authorities.
    #[serde(skip_serializing_if = "is_default")]
    pub intermediate: Intermediate,
    /// What is sent, in this order; `["leaf", "intermediates"]` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Vec<Sent>>,
    /// How it is signed.
    #[serde(skip_serializing_if = "is_default")]
    pub signature: Signature,
    /// Whether the handshake is signed with the certificate's key.
    #[serde(skip_serializing_if = "is_default")]
    pub possession: Possession,
    /// Something in its place that is not a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<Malformed>,
    /// This chain (PEM) without its key, and nothing else: somebody else's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stolen: Option<String>,
}

/// The intermediate authorities between root and certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Intermediate {
    /// The start of their validity; `-90d` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Offset>,
    /// The end of their validity; ten years by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Offset>,
    /// How many there are, one below the other; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub authorities: Option<u16>,
    /// The path length constraint of the highest (RFC 5280 §4.2.1.9); by default what the others
    /// need.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 127)))]
    pub path_length: Option<u8>,
    /// Name constraints of the highest: dNSNames must be below one of these (RFC 5280 §4.2.1.10).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    /// Name constraints of the highest: dNSNames must not be below one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// The extended key usages of all of them; none by default. Most software takes them for limits on
    /// what is below (RFC 5280 §4.2.1.12 does not say).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// Algorithm and size of the key of the lowest; by default `rsa2048` with a weak
    /// `signature`, else `p256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyKind>,
}

/// The issuer of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IssuedBy {
    /// One with the lab's names and key identifiers, and its own keys.
    Impostor,
    /// The lab's authority, which targets trust.
    #[default]
    Lab,
    /// The lab's certificate for another domain, which is not an authority.
    LeafOfAnother,
    /// Itself.
    #[serde(rename = "self")]
    Itself,
    /// An untrusted authority.
    Untrusted,
}

/// What can be sent in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Sent {
    /// The lowest authority's name and key, signed by another root: the untrusted one, or the lab's
    /// for an untrusted authority.
    CrossSigned,
    /// The root's name and key, signed by another root in the same way.
    CrossSignedRoot,
    /// The root's name and key, signed by another root, in an expired certificate.
    ExpiredCrossSignedRoot,
    /// The lowest authority's name and key in an expired certificate.
    ExpiredIntermediate,
    /// All authorities between root and certificate, the lowest first.
    Intermediates,
    /// The certificate itself.
    Leaf,
    /// The root.
    Root,
    /// An unrelated authority.
    Unrelated,
}

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// With one wrong bit.
    Broken,
    /// With RSA over MD5.
    Md5,
    /// With RSA over SHA-1.
    Sha1,
    /// Correctly.
    #[default]
    Sound,
}

/// The key that signs a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Possession {
    /// Another key of the same algorithm.
    OtherKey,
    /// The certificate's own key.
    #[default]
    Own,
}

/// A purpose in the extended key usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExtendedKeyUsage {
    /// anyExtendedKeyUsage.
    Any,
    /// id-kp-clientAuth.
    ClientAuth,
    /// id-kp-codeSigning.
    CodeSigning,
    /// id-kp-emailProtection.
    EmailProtection,
    /// id-kp-serverAuth.
    ServerAuth,
}

impl ExtendedKeyUsage {
    pub(super) fn id(self) -> &'static [u64] {
        match self {
            Self::Any => &[2, 5, 29, 37, 0],
            Self::ClientAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 2],
            Self::CodeSigning => &[1, 3, 6, 1, 5, 5, 7, 3, 3],
            Self::EmailProtection => &[1, 3, 6, 1, 5, 5, 7, 3, 4],
            Self::ServerAuth => &[1, 3, 6, 1, 5, 5, 7, 3, 1],
        }
    }
}

/// A key usage, in the standard's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyUsage {
    /// digitalSignature.
    DigitalSignature,
    /// nonRepudiation.
    NonRepudiation,
    /// keyEncipherment.
    KeyEncipherment,
    /// dataEncipherment.
    DataEncipherment,
    /// keyAgreement.
    KeyAgreement,
    /// keyCertSign.
    KeyCertSign,
    /// cRLSign.
    CrlSign,
}

impl KeyUsage {
    /// Its number in the bit string.
    pub(super) fn bit(self) -> u8 {
        match self {
            Self::DigitalSignature => 0,
            Self::NonRepudiation => 1,
            Self::KeyEncipherment => 2,
            Self::DataEncipherment => 3,
            Self::KeyAgreement => 4,
            Self::KeyCertSign => 5,
            Self::CrlSign => 6,
        }
    }
}

/// A public key without a private one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PublicKey {
    /// A curve over a field of composite order, with a compressed base point, of the kind that
    /// made some libraries loop forever (CVE-2022-0778).
    CompositeField,
    /// A curve with explicit parameters instead of a name (RFC 5480 §2.1.1 forbids it).
    ExplicitCurve,
    /// RSA with a modulus of 16 kB.
    HugeRsa,
    /// A point that is not on P-256.
    OffCurve,
    /// An unknown named curve.
    UnknownCurve,
    /// RSA with a modulus and an exponent of zero.
    ZeroRsa,
}

/// A replacement for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// No bytes.
    Empty,
    /// The outermost length says 4 GB.
    HugeLength,
    /// Random bytes.
    Random,
    /// Bytes after its end.
    Trailing,
    /// The first half of it.
    Truncated,
}

impl Certificate {
    /// The specification of this kind of certificate, or `None` for [`Certificate::None`].
    pub fn spec(self) -> Option<CertificateSpec> {
        let spec = CertificateSpec::default();
        Some(match self {
            Self::Good => spec,
            Self::Expired => CertificateSpec {
                not_before: Some(Offset::days(-60)),
                not_after: Some(Offset::days(-30)),
                ..spec
            },
            Self::NotYetValid => CertificateSpec {
                not_before: Some(Offset::days(1)),
                ..spec
            },
            Self::WrongName => CertificateSpec {
                domains: Some(vec![SOMEBODY_ELSE.to_owned()]),
                ..spec
            },
            Self::SelfSigned => CertificateSpec {
                issuer: IssuedBy::Itself,
                ..spec
            },
            Self::UnknownCa => CertificateSpec {
                issuer: IssuedBy::Untrusted,
                ..spec
            },
            Self::NoClientAuth => CertificateSpec {
                extended_key_usage: Some(vec![ExtendedKeyUsage::ServerAuth]),
                ..spec
            },
            Self::MissingIntermediate => CertificateSpec {
                sent: Some(vec![Sent::Leaf]),
                ..spec
            },
            Self::None => return None,
        })
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_false(value: &bool) -> bool {
    !*value
}
