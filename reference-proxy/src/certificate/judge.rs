//! The verdict on a peer's certificate: chain, dates, purpose, identity.

use std::fmt;

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::credentials::{Authorities, provider};
use super::identity::{Identity, identity};
use crate::domain::Domain;

/// What is thought of a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It authenticates the peer as the domain.
    Good,
    /// It authenticates nobody.
    Bad(Fault),
    /// There was none.
    Absent,
}

/// Why a certificate authenticates nobody. The first fault found is the one told: form, then
/// dates and purpose of the leaf, then the chain, then the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not legible as a certificate.
    Malformed,
    /// Its time is over, or that of one above it.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It may not be used for this: extended key usage (RFC 5280 §4.2.1.12) or key usage.
    Purpose,
    /// Its own issuer, and not trusted.
    SelfSigned,
    /// No trusted authority issued it, or an intermediate is missing.
    UnknownIssuer,
    /// A signature in the chain is wrong, or made with an algorithm that is not supported.
    Signature,
    /// A rule of the chain is broken: basic constraints, path length, name constraints, or a
    /// critical extension that is not understood.
    Constraint,
    /// Good, but for another domain.
    WrongName,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::Purpose => "issued for another purpose",
            Self::SelfSigned => "self-signed",
            Self::UnknownIssuer => "issued by an unknown authority",
            Self::Signature => "signature not valid",
            Self::Constraint => "against the rules of its chain",
            Self::WrongName => "issued for another name",
        })
    }
}

impl Fault {
    /// The same in the words of rustls, which has the alert for each.
    pub(super) fn tls_error(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::Malformed => CertificateError::BadEncoding,
            Self::Expired => CertificateError::Expired,
            Self::NotYetValid => CertificateError::NotValidYet,
            Self::Purpose => CertificateError::InvalidPurpose,
            Self::SelfSigned | Self::UnknownIssuer => CertificateError::UnknownIssuer,
            Self::Signature => CertificateError::BadSignature,
            Self::Constraint => CertificateError::UnhandledCriticalExtension,
            Self::WrongName => CertificateError::NotValidForName,
        })
    }
}

/// Which end of the TLS connection presents the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presenter {
    /// The peer was dialled.
    Server,
    /// The peer dialled.
    Client,
}

/// Judges certificates by the authorities of one side.
#[derive(Clone, Debug)]
pub struct Judge {
    authorities: Authorities,
    client_auth_eku: bool,
}

impl Judge {
    /// A judge that trusts the given authorities.
    ///
    /// With `client_auth_eku` a client's certificate that lists purposes has to list clientAuth;
    /// without it, serverAuth is as good, as public authorities issue nothing else any more.
    #[must_use]
    pub fn new(authorities: Authorities, client_auth_eku: bool) -> Self {
        Self {
            authorities,
            client_auth_eku,
        }
    }

    /// Judges the chain that was presented, leaf first, as that of one of the domains.
    #[must_use]
    pub fn judge(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        presenter: Presenter,
        domains: &[Domain],
        now: UnixTime,
    ) -> Judged {
        let Some((leaf, intermediates)) = presented.and_then(<[_]>::split_first) else {
            return Judged::Absent;
        };
        match self.fault(leaf, intermediates, presenter, domains, now) {
            None => Judged::Good,
            Some(fault) => Judged::Bad(fault),
        }
    }

    pub(super) fn fault(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        presenter: Presenter,
        domains: &[Domain],
        now: UnixTime,
    ) -> Option<Fault> {
        let Ok((rest, certificate)) = X509Certificate::from_der(leaf) else {
            return Some(Fault::Malformed);
        };
        if !rest.is_empty() {
            return Some(Fault::Malformed);
        }
        let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        let chain = EndEntityCert::try_from(leaf).and_then(|leaf| {
            leaf.verify_for_usage(
                provider().signature_verification_algorithms.all,
                &self.authorities.roots.roots,
                intermediates,
                now,
                self.purpose(presenter),
                None,
                None,
            )
            .map(|_| ())
        });
        if let Err(error) = chain {
            return Some(chain_fault(&error, self_issued));
        }
        if !may_sign_handshakes(&certificate) {
            return Some(Fault::Purpose);
        }
        match identity(&certificate, domains) {
            Identity::Named => None,
            Identity::NotNamed => Some(Fault::WrongName),
        }
    }

    fn purpose(&self, presenter: Presenter) -> Purpose {
        match (presenter, self.client_auth_eku) {
            (Presenter::Server, _) => Purpose::Server,
            (Presenter::Client, true) => Purpose::Client,
            (Presenter::Client, false) => Purpose::ClientOrServer,
        }
    }
}

fn chain_fault(error: &webpki::Error, self_issued: bool) -> Fault {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => Fault::Expired,
        Error::CertNotValidYet { .. } => Fault::NotYetValid,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Fault::Purpose,
        Error::UnknownIssuer | Error::CaUsedAsEndEntity if self_issued => Fault::SelfSigned,
        Error::UnknownIssuer
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded => Fault::UnknownIssuer,
        Error::InvalidSignatureForPublicKey
        | Error::SignatureAlgorithmMismatch
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Fault::Signature,
        Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::NameConstraintViolation
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::PathLenConstraintViolated
        | Error::UnsupportedCriticalExtension => Fault::Constraint,
        _ => Fault::Malformed,
    }
}

/// Whether key usage (RFC 5280 §4.2.1.3) leaves room for a TLS handshake; webpki does not look.
fn may_sign_handshakes(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
        }
        Err(_) => false,
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Server,
    Client,
    ClientOrServer,
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, listed: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in listed {
            present.push(purpose?.to_decoded_oid());
        }
        let lists = |wanted: &[usize]| present.iter().any(|oid| oid == wanted);
        let fits = match self {
            _ if present.is_empty() => true,
            Self::Server => lists(KeyUsage::SERVER_AUTH_REPR),
            Self::Client => lists(KeyUsage::CLIENT_AUTH_REPR),
            Self::ClientOrServer => {
                lists(KeyUsage::SERVER_AUTH_REPR) || lists(KeyUsage::CLIENT_AUTH_REPR)
            }
        };
        if fits {
            return Ok(());
        }
        let required = match self {
            Self::Server => KeyUsage::server_auth(),
            Self::Client | Self::ClientOrServer => KeyUsage::client_auth(),
        };
        Err(webpki::Error::RequiredEkuNotFoundContext(
            webpki::RequiredEkuNotFoundContext { required, present },
        ))
    }
}
