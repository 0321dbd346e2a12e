//! Issues an identity from a specification.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::data::{CertificateSpec, ExtendedKeyUsage, KeyUsage, Malformed, Possession, Signature};
use super::error::SpecError;
use super::odd_key;
use super::offset::Offset;
use crate::pki::certificate::{Draft, Extension, Validity, serial};
use crate::pki::key::{KeyKind, Owner};
use crate::pki::line::Signatory;
use crate::pki::names::{self, GeneralName};
use crate::pki::weak::Hash;
use crate::pki::{Authority, Identity};

/// Half of the maximum length of a handshake message (RFC 8446 §4).
const MOST_BYTES: usize = 8 << 20;
/// Below a UUID, where no one else can register (X.667).
const UNKNOWN_CRITICAL: &[u64] = &[2, 25, 4_886_718_346];
const PADDING: &[u64] = &[2, 25, 4_886_718_347];
const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];

impl Authority {
    /// The identity that a specification describes. `fill` replaces placeholders in a text, including
    /// `{domain}`.
    ///
    /// The same specification with the same texts gives the same serial number.
    ///
    /// # Errors
    /// When the specification contradicts itself, or when a text is invalid once it is filled in.
    pub fn issue_from(
        &self,
        spec: &CertificateSpec,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<Arc<Identity>, SpecError> {
        spec.check()?;
        if let Some(text) = &spec.stolen {
            return self.stolen(&fill(text));
        }
        let above = self.above(spec, fill)?;
        let issuer = above.as_ref().map(|above| &*above.signatory);
        let leaf = self.leaf(spec, issuer, Owner::Leaf, fill)?;
        let chain = self.sent(spec, &leaf, above.as_ref())?;
        let owner = match spec.possession {
            Possession::Own => Owner::Leaf,
            Possession::OtherKey => Owner::Other,
        };
        self.identity(chain, spec.key, owner)
    }

    fn identity(
        &self,
        chain: Vec<CertificateDer<'static>>,
        kind: KeyKind,
        owner: Owner,
    ) -> Result<Arc<Identity>, SpecError> {
        fits(chain.iter().map(|certificate| certificate.len()).sum())?;
        let key = self.keys().key(kind, owner);
        Ok(Arc::new(Identity::new(chain, &key)))
    }

    pub(super) fn leaf(
        &self,
        spec: &CertificateSpec,
        issuer: Option<&Signatory>,
        owner: Owner,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<CertificateDer<'static>, SpecError> {
        let key = self.keys().key(spec.key, owner);
        let public_key_info = match spec.public_key {
            Some(odd) => odd_key::public_key_info(odd),
            None => key.pair.public_key_info(),
        };
        let (names, common_name) = self.names(spec, fill)?;
        let names = names.map(|names| names::subject_alt_name(&names));
        let (names, subject) = match spec.empty_subject {
            true => (names.map(Extension::critical), names::nobody()),
            false => (names, names::subject(common_name.as_deref())),
        };
        let serial = serial(
            self.seed(),
            &[
                format!("{spec:?} ").as_bytes(),
                &subject,
                names.as_ref().map(Extension::content).unwrap_or_default(),
            ],
        );
        let mut extensions = Vec::new();
        let issuer_key_id = issuer.and_then(|issuer| issuer.key_id.as_deref());
        extensions.extend(issuer_key_id.map(Extension::authority_key_id));
        extensions.extend(names);
        extensions.extend(extensions_of(spec));
        let now = self.now();
        let usual = Validity {
            not_before: now - Duration::days(1),
            not_after: now + Duration::days(365),
        };
        let hash = match spec.signature {
            Signature::Broken | Signature::Sound => Hash::Sha256,
            Signature::Md5 => Hash::Md5,
            Signature::Sha1 => Hash::Sha1,
        };
        let certificate = Draft {
            serial,
            issuer: issuer.map_or(&subject, |issuer| &issuer.name),
            subject: &subject,
            validity: validity(now, spec.not_before, spec.not_after, usual),
            public_key_info: &public_key_info,
            extensions: &extensions,
        }
        .sign(issuer.map_or(&key.pair, |issuer| &issuer.pair), hash)?;
        Ok(spoilt(&certificate, spec))
    }

    /// The alternative names, if any, and the common name.
    fn names(
        &self,
        spec: &CertificateSpec,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<(Option<Vec<GeneralName>>, Option<String>), SpecError> {
        let common_name = spec.common_name.as_deref().map(fill);
        if spec.no_san {
            return Ok((None, common_name));
        }
        let Some(wanted) = &spec.names else {
            let usual = ["{domain}".to_owned()];
            let domains = spec.domains.as_deref().unwrap_or(&usual);
            let domains: Vec<String> = domains.iter().map(|domain| fill(domain)).collect();
            let first = domains.first().and_then(|name| names::common_name(name));
            let common_name = common_name.or_else(|| first.map(str::to_owned));
            let names = names::of_domains(&domains, self.forms());
            fits(names.iter().map(GeneralName::length).sum())?;
            return Ok((Some(names), common_name));
        };
        let mut names = Vec::new();
        let mut length = 0;
        for name in wanted {
            for number in 1..=name.count() {
                let name = name.written(number, fill)?;
                length += name.length();
                fits(length)?;
                names.push(name);
            }
        }
        Ok((Some(names), common_name))
    }

    /// Somebody else's chain, with a signing key of the right type.
    fn stolen(&self, text: &str) -> Result<Arc<Identity>, SpecError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| SpecError::NothingStolen)?;
        let leaf = chain.first().ok_or(SpecError::NothingStolen)?;
        let kind = kind_of(leaf).ok_or(SpecError::NothingStolen)?;
        self.identity(chain, kind, Owner::Other)
    }
}

/// The given dates, or the default ones.
pub(super) fn validity(
    now: OffsetDateTime,
    not_before: Option<Offset>,
    not_after: Option<Offset>,
    usual: Validity,
) -> Validity {
    Validity {
        not_before: not_before.map_or(usual.not_before, |offset| now + offset.duration()),
        not_after: not_after.map_or(usual.not_after, |offset| now + offset.duration()),
    }
}

/// The key usages in a certificate.
fn extensions_of(spec: &CertificateSpec) -> Vec<Extension> {
    let mut extensions = Vec::new();
    let usual = match spec.key.is_rsa() {
        // TLS 1.2 without forward secrecy is still used with old partners.
        true => &[KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment][..],
        false => &[KeyUsage::DigitalSignature],
    };
    let usages = spec.key_usage.as_deref().unwrap_or(usual);
    if !usages.is_empty() {
        let bits: Vec<u8> = usages.iter().map(|usage| usage.bit()).collect();
        extensions.push(Extension::key_usage(&bits));
    }
    let usual = &[ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth];
    let purposes = spec.extended_key_usage.as_deref().unwrap_or(usual);
    if !purposes.is_empty() {
        let ids: Vec<&[u64]> = purposes.iter().map(|purpose| purpose.id()).collect();
        extensions.push(Extension::extended_key_usage(&ids));
    }
    if spec.ca {
        extensions.push(Extension::authority(None));
    }
    if spec.must_staple {
        /// The number of status_request (RFC 6066 §8).
        const STATUS_REQUEST: u8 = 5;
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|features| features.next().write_u8(STATUS_REQUEST));
        });
        extensions.push(Extension::new(TLS_FEATURE, content));
    }
    if spec.unknown_critical_extension {
        let content = yasna::construct_der(|writer| writer.write_null());
        extensions.push(Extension::new(UNKNOWN_CRITICAL, content).critical());
    }
    if let Ok(length @ 1..) = usize::try_from(spec.padding) {
        let content = yasna::construct_der(|writer| writer.write_bytes(&vec![0; length]));
        extensions.push(Extension::new(PADDING, content));
    }
    extensions
}

/// The certificate with the requested faults in its bytes.
fn spoilt(certificate: &[u8], spec: &CertificateSpec) -> CertificateDer<'static> {
    const NONSENSE: usize = 16;

    let mut bytes = certificate.to_vec();
    if spec.signature == Signature::Broken
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    match spec.malformed {
        None => {}
        Some(Malformed::Empty) => bytes.clear(),
        Some(Malformed::HugeLength) => {
            bytes.splice(..4, [0x30, 0x84, 0xff, 0xff, 0xff, 0xff]);
        }
        Some(Malformed::Random) => {
            // The same in each run. The first bits of each tag mark it as private.
            bytes = (0..NONSENSE)
                .flat_map(|part| digest(&SHA256, &[0xc0, part as u8]).as_ref().to_vec())
                .collect();
            bytes[0] |= 0xc0;
        }
        Some(Malformed::Trailing) => bytes.extend(b"trailing"),
        Some(Malformed::Truncated) => bytes.truncate(certificate.len() / 2),
    }
    bytes.into()
}

/// The key type in a certificate, or `None` if it is not a certificate. For an
/// unknown type any will do: the signature is wrong in any case.
fn kind_of(certificate: &[u8]) -> Option<KeyKind> {
    use x509_parser::public_key::PublicKey;

    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let info = certificate.public_key();
    Some(match info.parsed() {
        Ok(PublicKey::RSA(_)) => KeyKind::Rsa2048,
        Ok(PublicKey::EC(point)) => match point.key_size() {
            384 => KeyKind::P384,
            521..=528 => KeyKind::P521,
            _ => KeyKind::P256,
        },
        _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => KeyKind::Ed25519,
        _ => KeyKind::P256,
    })
}

fn fits(bytes: usize) -> Result<(), SpecError> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(SpecError::TooBig {
        bytes,
        most: MOST_BYTES,
    })
}
