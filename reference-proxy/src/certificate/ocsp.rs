//! Stapled answers about revocation (RFC 6960, RFC 6066 §8).

use aws_lc_rs::digest;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Oid, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::credentials::provider;

/// id-pkix-ocsp-basic (RFC 6960 §4.2.1).
const BASIC: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1.1);
const SHA1: Oid<'static> = oid!(1.3.14.3.2.26);
const SHA256: Oid<'static> = oid!(2.16.840.1.101.3.4.2.1);
/// How far clocks may differ.
const SKEW: i64 = 5 * 60;
/// How long an answer holds that does not say so, in seconds.
const WEEK: i64 = 7 * 24 * 60 * 60;

/// What an answer says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked,
    /// The responder does not know the certificate.
    Unknown,
}

/// Why an answer says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Useless {
    #[error("it cannot be read")]
    Unreadable,
    #[error("the responder gave no answer")]
    NoAnswer,
    #[error("it is about another certificate")]
    OtherCertificate,
    #[error("it is not of this time")]
    OtherTime,
    #[error("it is not signed by the authority, or by whom that authorized")]
    Signature,
}

/// Who issued a certificate.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) key: SubjectPublicKeyInfoDer<'static>,
}

/// What a stapled answer says of the certificate at this time, in seconds since 1970.
pub(super) fn status(
    answer: &[u8],
    leaf: &X509Certificate<'_>,
    issuer: &Issuer,
    now: i64,
) -> Result<Status, Useless> {
    let basic = basic(answer)?;
    let signed = Basic::read(basic).ok_or(Useless::Unreadable)?;
    if !signed.is_of(leaf, issuer, now) {
        return Err(Useless::Signature);
    }
    let single = signed.answers.into_iter();
    let mut single = single.filter(|one| one.is_about(leaf, issuer));
    let single = single.next().ok_or(Useless::OtherCertificate)?;
    let (from, until) = single.times;
    let until = until.unwrap_or(from + WEEK);
    match from - SKEW <= now && now <= until + SKEW {
        true => Ok(single.status),
        false => Err(Useless::OtherTime),
    }
}

/// The basic response in an OCSPResponse.
fn basic(answer: &[u8]) -> Result<&[u8], Useless> {
    let read = || {
        let mut outer = Der(Der(answer).sequence()?);
        let outcome = outer.universal(Tag::Enumerated)?;
        Some((outcome, outer.context(0)))
    };
    let (outcome, bytes) = read().ok_or(Useless::Unreadable)?;
    if outcome != [0] {
        return Err(Useless::NoAnswer);
    }
    let read = || {
        let mut bytes = Der(Der(bytes?).sequence()?);
        let kind = Oid::new(bytes.universal(Tag::Oid)?.into());
        (kind == BASIC).then(|| bytes.universal(Tag::OctetString))?
    };
    read().ok_or(Useless::Unreadable)
}

/// A BasicOCSPResponse.
struct Basic<'a> {
    data: &'a [u8],
    signature: Signature<'a>,
    answers: Vec<Single<'a>>,
    certificates: Vec<&'a [u8]>,
}

/// A signature and its algorithm, without the header of the latter.
struct Signature<'a> {
    algorithm: &'a [u8],
    bytes: &'a [u8],
}

/// A SingleResponse.
struct Single<'a> {
    hash: Oid<'a>,
    name: &'a [u8],
    key: &'a [u8],
    serial: &'a [u8],
    status: Status,
    /// From when, and until when it holds, if it says so.
    times: (i64, Option<i64>),
}

impl<'a> Basic<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut basic = Der(Der(der).sequence()?);
        let data = basic.element()?;
        let algorithm = basic.sequence()?;
        let bytes = bits(basic.universal(Tag::BitString)?)?;
        let mut certificates = Vec::new();
        if let Some(list) = basic.context(0) {
            let mut list = Der(Der(list).sequence()?);
            while !list.0.is_empty() {
                certificates.push(list.element()?);
            }
        }
        let mut inner = Der(Der(data).sequence()?);
        // The version, and who the responder is, which the signature shows.
        let _ = inner.context(0);
        inner.element()?;
        inner.universal(Tag::GeneralizedTime)?;
        let mut list = Der(inner.sequence()?);
        let mut answers = Vec::new();
        while !list.0.is_empty() {
            answers.push(Single::read(list.sequence()?)?);
        }
        Some(Self {
            data,
            signature: Signature { algorithm, bytes },
            answers,
            certificates,
        })
    }

    /// Whether the issuer signed it, or a responder with a certificate of the issuer for that (RFC 6960 §4.2.2.2).
    fn is_of(&self, leaf: &X509Certificate<'_>, issuer: &Issuer, now: i64) -> bool {
        if self.signature.fits(&issuer.key, self.data) {
            return true;
        }
        self.certificates.iter().any(|der| {
            let Ok(([], responder)) = X509Certificate::from_der(der) else {
                return false;
            };
            let validity = responder.validity();
            let signs = responder.extended_key_usage().ok().flatten();
            let signs = signs.is_some_and(|usage| usage.value.ocsp_signing);
            let Some(certified) = certified(der) else {
                return false;
            };
            let key = SubjectPublicKeyInfoDer::from(responder.public_key().raw);
            responder.issuer().as_raw() == leaf.issuer().as_raw()
                && validity.not_before.timestamp() <= now
                && now <= validity.not_after.timestamp()
                && signs
                && certified.fits(&issuer.key, responder.tbs_certificate.as_ref())
                && self.signature.fits(&key, self.data)
        })
    }
}

/// The signature of a certificate.
fn certified(der: &[u8]) -> Option<Signature<'_>> {
    let mut certificate = Der(Der(der).sequence()?);
    certificate.element()?;
    Some(Signature {
        algorithm: certificate.sequence()?,
        bytes: bits(certificate.universal(Tag::BitString)?)?,
    })
}

impl Signature<'_> {
    fn fits(&self, key: &SubjectPublicKeyInfoDer<'_>, message: &[u8]) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(key) else {
            return false;
        };
        let algorithms = provider().signature_verification_algorithms.all.iter();
        let mut named = algorithms.filter(|one| one.signature_alg_id().as_ref() == self.algorithm);
        named.any(|one| key.verify_signature(*one, message, self.bytes).is_ok())
    }
}

impl<'a> Single<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut single = Der(der);
        let mut about = Der(single.sequence()?);
        let hash = Der(about.sequence()?).universal(Tag::Oid)?;
        let name = about.universal(Tag::OctetString)?;
        let key = about.universal(Tag::OctetString)?;
        let serial = about.universal(Tag::Integer)?;
        let (_, said) = Any::from_der(single.element()?).ok()?;
        let status = match (said.class(), said.tag().0) {
            (Class::ContextSpecific, 0) => Status::Good,
            (Class::ContextSpecific, 1) => Status::Revoked,
            (Class::ContextSpecific, 2) => Status::Unknown,
            _ => return None,
        };
        let from = time(single.element()?)?;
        let until = match single.context(0) {
            Some(until) => Some(time(until)?),
            None => None,
        };
        Some(Self {
            hash: Oid::new(hash.into()),
            name,
            key,
            serial,
            status,
            times: (from, until),
        })
    }

    fn is_about(&self, leaf: &X509Certificate<'_>, issuer: &Issuer) -> bool {
        let algorithm = if self.hash == SHA1 {
            &digest::SHA1_FOR_LEGACY_USE_ONLY
        } else if self.hash == SHA256 {
            &digest::SHA256
        } else {
            return false;
        };
        let hashed = |bytes: &[u8]| digest::digest(algorithm, bytes);
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(issuer.key.as_ref()) else {
            return false;
        };
        self.serial == leaf.raw_serial()
            && self.name == hashed(leaf.issuer().as_raw()).as_ref()
            && self.key == hashed(&key.subject_public_key.data).as_ref()
    }
}

fn time(der: &[u8]) -> Option<i64> {
    let (_, time) = ASN1Time::from_der(der).ok()?;
    Some(time.timestamp())
}

/// The bytes of a BIT STRING that has whole bytes.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content
        .split_first()
        .filter(|(unused, _)| **unused == 0)
        .map(|(_, bytes)| bytes)
}

/// The rest of a DER encoding, read element by element.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(Any<'a>, &'a [u8])> {
        let (rest, any) = Any::from_der(self.0).ok()?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some((any, whole))
    }

    /// The next element with its header.
    fn element(&mut self) -> Option<&'a [u8]> {
        self.next().map(|(_, whole)| whole)
    }

    fn universal(&mut self, tag: Tag) -> Option<&'a [u8]> {
        let (any, _) = self.next()?;
        (any.class() == Class::Universal && any.tag() == tag).then_some(any.data)
    }

    fn sequence(&mut self) -> Option<&'a [u8]> {
        self.universal(Tag::Sequence)
    }

    /// The content of the next element, if it has this tag of its context.
    fn context(&mut self, tag: u32) -> Option<&'a [u8]> {
        let (_, any) = Any::from_der(self.0).ok()?;
        if any.class() != Class::ContextSpecific || any.tag() != Tag(tag) {
            return None;
        }
        self.next().map(|(any, _)| any.data)
    }
}
