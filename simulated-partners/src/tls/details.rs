//! The contents of a certificate in detail, for reports to its owner.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::identity::{self, Name};
use super::judge::chain_fault;
use crate::pki;

/// The uses allowed by the extended key usage (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// There is no such extension, or it allows all: every use.
    Any,
    /// Only these uses.
    Only {
        /// TLS as a server.
        server: bool,
        /// TLS as a client.
        client: bool,
    },
}

/// A certificate, read.
#[derive(Clone, Debug)]
pub struct Details {
    /// The subject.
    pub subject: String,
    /// The issuer.
    pub issuer: String,
    /// The names valid for an XMPP server.
    pub names: Vec<Name>,
    /// The first second of its validity, in seconds since 1970.
    pub not_before: i64,
    /// The last one.
    pub not_after: i64,
    /// A text such as `1 Jan 2030`, for [`Details::not_before`] and [`Details::not_after`].
    pub dates: [String; 2],
    /// The kind of its key, such as `RSA`.
    pub key: &'static str,
    /// The length of its key.
    pub key_bits: usize,
    /// Its allowed uses.
    pub usage: Usage,
    /// Why the chain does not lead to a known root, ignoring its dates, purpose and names.
    pub chain_fault: Option<String>,
    /// Who issued the last certificate of the chain.
    pub chain_issuer: String,
    /// Whether a known root has that name, if perhaps another key.
    pub known_by_name: bool,
    /// The first certificate above it that is out of date, with how.
    pub stale_issuer: Option<String>,
}

impl Details {
    /// Reads the first certificate of a chain. `None` if it is missing or unreadable.
    pub fn read(chain: &[CertificateDer<'_>], roots: &Arc<RootCertStore>) -> Option<Self> {
        let (end_entity, intermediates) = chain.split_first()?;
        let (_, readable) = X509Certificate::from_der(end_entity).ok()?;
        let validity = readable.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        // The moment nearest to now at which its own dates are valid.
        let now = i64::try_from(pki::unix_time().as_secs()).unwrap_or(i64::MAX);
        let within = now.min(not_after).max(not_before);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(within).unwrap_or_default(),
        ));
        let (key, key_bits) = key(&readable);
        let above: Vec<X509Certificate<'_>> = intermediates
            .iter()
            .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1))
            .collect();
        let last = above.last().unwrap_or(&readable);
        Some(Self {
            subject: readable.subject().to_string(),
            issuer: readable.issuer().to_string(),
            names: identity::names(&readable),
            not_before,
            not_after,
            dates: [date(not_before), date(not_after)],
            key,
            key_bits,
            usage: usage(&readable),
            chain_fault: chain_fault(end_entity, &readable, intermediates, roots, at),
            chain_issuer: last.issuer().to_string(),
            known_by_name: has_name(roots, last.issuer().as_raw()),
            stale_issuer: above.iter().find_map(|one| stale(one, now)),
        })
    }

    /// Whether one of the names covers a domain (RFC 6120 §13.7.2).
    pub fn covers(&self, domain: &str) -> bool {
        identity::any_covers(&self.names, domain)
    }

    /// The current time, on the scale of its dates.
    pub fn now() -> i64 {
        i64::try_from(pki::unix_time().as_secs()).unwrap_or(i64::MAX)
    }
}

/// Whether a root has this name, which is given as an encoded sequence.
fn has_name(roots: &RootCertStore, name: &[u8]) -> bool {
    roots
        .subjects()
        .iter()
        .any(|subject| subject.as_ref() == name)
}

/// How a certificate is out of date, if it is.
fn stale(certificate: &X509Certificate<'_>, now: i64) -> Option<String> {
    let validity = certificate.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let subject = certificate.subject();
    if now > until {
        return Some(format!("{subject} expired on {}", date(until)));
    }
    (now < from).then(|| format!("{subject} is valid from {} on", date(from)))
}

pub(super) fn key(certificate: &X509Certificate<'_>) -> (&'static str, usize) {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA", key.key_size()),
        Ok(PublicKey::EC(key)) => ("ECDSA", key.key_size()),
        Ok(PublicKey::DSA(_)) => ("DSA", 0),
        // The parser has no type for these; 1.3.101.112 and .113 are Ed25519 and Ed448.
        _ => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => ("Ed25519", 256),
            "1.3.101.113" => ("Ed448", 456),
            _ => ("of an unknown kind", 0),
        },
    }
}

fn usage(certificate: &X509Certificate<'_>) -> Usage {
    match certificate.extended_key_usage() {
        Ok(Some(extension)) if !extension.value.any => Usage::Only {
            server: extension.value.server_auth,
            client: extension.value.client_auth,
        },
        _ => Usage::Any,
    }
}

/// A readable date, in UTC.
fn date(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "an impossible date".to_owned(),
        |date| {
            let (date, hour, minute) = (date.date(), date.hour(), date.minute());
            format!("{date} {hour:02}:{minute:02} UTC")
        },
    )
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use crate::persona::{Certificate, Key};
    use crate::pki::{Authority, CertificateSpec, Intermediate, IssuedBy, Offset, Sent};

    use super::*;

    fn details(kind: Certificate, key: Key) -> Details {
        let authority = Authority::new(3);
        let identity = authority.issue(&["a.example"], kind, key).unwrap();
        Details::read(identity.chain(), &authority.roots()).unwrap()
    }

    #[test]
    fn a_valid_certificate_has_no_fault() {
        let details = details(Certificate::Good, Key::P256);
        assert_eq!(details.chain_fault, None);
        assert!(details.covers("a.example") && !details.covers("b.example"));
        assert_eq!((details.key, details.key_bits), ("ECDSA", 256));
        let both = Usage::Only {
            server: true,
            client: true,
        };
        assert_eq!(details.usage, both);
        assert!(details.not_before < Details::now() && Details::now() < details.not_after);
    }

    #[test]
    fn each_fault_is_distinguished() {
        let expired = details(Certificate::Expired, Key::Rsa2048);
        assert!(expired.not_after < Details::now());
        assert_eq!(expired.chain_fault, None);
        assert_eq!((expired.key, expired.key_bits), ("RSA", 2048));
        let unknown = details(Certificate::UnknownCa, Key::Ed25519);
        assert_eq!(unknown.chain_fault.as_deref(), Some("unknown issuer"));
        assert_eq!(unknown.key, "Ed25519");
        let own = details(Certificate::SelfSigned, Key::P256);
        assert_eq!(own.chain_fault.as_deref(), Some("self-signed"));
        let purpose = details(Certificate::NoClientAuth, Key::P256);
        assert_eq!(purpose.chain_fault, None);
        let server = Usage::Only {
            server: true,
            client: false,
        };
        assert_eq!(purpose.usage, server);
    }

    /// A certificate as a file describes it.
    fn specified(spec: CertificateSpec) -> Details {
        let authority = Authority::new(3);
        let spec = CertificateSpec {
            domains: Some(vec!["a.example".to_owned()]),
            ..spec
        };
        let identity = authority.issue_from(&spec, &str::to_owned).unwrap();
        Details::read(identity.chain(), &authority.roots()).unwrap()
    }

    #[test]
    fn what_is_wrong_above_a_certificate_is_told_apart() {
        let good = specified(CertificateSpec::default());
        assert_eq!((good.stale_issuer, good.known_by_name), (None, true));
        let stale = specified(CertificateSpec {
            intermediate: Intermediate {
                not_before: Some(Offset::days(-9)),
                not_after: Some(Offset::days(-2)),
                ..Intermediate::default()
            },
            ..CertificateSpec::default()
        });
        let told = stale.stale_issuer.expect("it is out of date");
        assert!(told.contains(" expired on "), "{told}");
        let alone = specified(CertificateSpec {
            sent: Some(vec![Sent::Leaf]),
            ..CertificateSpec::default()
        });
        assert_eq!(alone.chain_fault.as_deref(), Some("unknown issuer"));
        assert_eq!(alone.chain_issuer, "CN=s2spec lab intermediate");
        assert!(!alone.known_by_name);
        // Another authority of the same name, as one that was made again.
        let identity = Authority::new(4).issue(&["a.example"], Certificate::Good, Key::P256);
        let other = Authority::new(3).roots();
        let namesake = Details::read(identity.unwrap().chain(), &other).unwrap();
        assert!(namesake.known_by_name && namesake.chain_fault.is_some());
    }

    #[test]
    fn a_certificate_of_version_1_is_named() {
        let pem = include_bytes!("tests/version_1.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let details = Details::read(&[certificate], &Authority::new(3).roots()).unwrap();
        assert_eq!(details.chain_fault.as_deref(), Some("X.509 version 1"));
    }

    #[test]
    fn an_authority_of_its_own_is_self_signed_and_one_of_another_is_not() {
        let own = specified(CertificateSpec {
            ca: true,
            issuer: IssuedBy::Itself,
            ..CertificateSpec::default()
        });
        assert_eq!(own.chain_fault.as_deref(), Some("self-signed"));
        let of_lab = specified(CertificateSpec {
            ca: true,
            ..CertificateSpec::default()
        });
        assert_eq!(of_lab.chain_fault.as_deref(), Some("an authority's own"));
    }

    #[test]
    fn what_is_no_certificate_is_nothing() {
        let roots = Authority::new(3).roots();
        assert!(Details::read(&[], &roots).is_none());
        assert!(Details::read(&[b"no".to_vec().into()], &roots).is_none());
    }

    #[test]
    fn dates_are_written_the_same_everywhere() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(i64::MAX), "an impossible date");
    }
}
