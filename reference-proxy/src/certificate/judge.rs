//! The verdict on a peer's certificate: chain, dates, purpose, identity.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use strum::Display;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::credentials::{Authorities, provider};
use super::identity::names_one_of;
use super::revocation::Revocation;
use crate::domain::Domain;

/// The verdict on a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It authenticates the peer as the domain.
    Good,
    /// It authenticates nobody.
    Bad(Fault),
    Absent,
}

/// Why a certificate authenticates nobody. Of several faults the first one counts: format, then
/// dates and purpose of the leaf, then the chain, then the name, then revocation.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub(crate) enum Fault {
    #[strum(to_string = "malformed")]
    Malformed,
    /// Or one above it in the chain is.
    #[strum(to_string = "expired")]
    Expired,
    #[strum(to_string = "not yet valid")]
    NotYetValid,
    /// By extended key usage (RFC 5280 §4.2.1.12) or key usage.
    #[strum(to_string = "issued for another purpose")]
    Purpose,
    #[strum(to_string = "self-signed")]
    SelfSigned,
    /// Or an intermediate is missing.
    #[strum(to_string = "issued by an unknown authority")]
    UnknownIssuer,
    /// Wrong, or made with an unsupported algorithm, somewhere in the chain.
    #[strum(to_string = "signature not valid")]
    Signature,
    /// Basic constraints, path length, name constraints, or an unknown critical extension.
    #[strum(to_string = "against the rules of its chain")]
    Constraint,
    #[strum(to_string = "issued for another name")]
    WrongName,
    /// Or one above it in the chain is.
    #[strum(to_string = "revoked")]
    Revoked,
    /// Where it has to be known.
    #[strum(to_string = "not known to be unrevoked")]
    RevocationUnknown,
}

impl Fault {
    /// The rustls error that sends the right alert.
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
            Self::Revoked => CertificateError::Revoked,
            Self::RevocationUnknown => CertificateError::UnknownRevocationStatus,
        })
    }
}

/// The peer's end of the TLS connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presenter {
    Server,
    Client,
}

/// Judges certificates by the authorities of one side.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    authorities: Authorities,
    client_auth_eku: bool,
    revocation: Revocation,
}

impl Judge {
    /// A judge that trusts the authorities.
    ///
    /// With `client_auth_eku`, a client's certificate that lists purposes must list clientAuth.
    /// Without it serverAuth is enough, as public authorities no longer issue anything else.
    pub(crate) fn new(authorities: Authorities, client_auth_eku: bool) -> Self {
        Self {
            authorities,
            client_auth_eku,
            revocation: Revocation::default(),
        }
    }

    /// The same judge, who looks whether certificates were revoked.
    pub(crate) fn heeding(self, revocation: Revocation) -> Self {
        Self { revocation, ..self }
    }

    /// Whether what is stapled to a certificate matters.
    pub(super) fn heeds_stapled(&self) -> bool {
        !self.revocation.is_off()
    }

    /// Judges a chain, leaf first, that must name one of the domains, with what was stapled to it.
    pub(crate) fn judge(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        stapled: &[u8],
        presenter: Presenter,
        domains: &[Domain],
        now: UnixTime,
    ) -> Judged {
        let Some((leaf, intermediates)) = presented.and_then(<[_]>::split_first) else {
            return Judged::Absent;
        };
        match self.check(leaf, intermediates, stapled, presenter, domains, now) {
            Ok(()) => Judged::Good,
            Err(fault) => Judged::Bad(fault),
        }
    }

    pub(super) fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        stapled: &[u8],
        presenter: Presenter,
        domains: &[Domain],
        now: UnixTime,
    ) -> Result<(), Fault> {
        let Ok(([], certificate)) = X509Certificate::from_der(leaf) else {
            return Err(Fault::Malformed);
        };
        let self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw();
        // One purpose has to hold all through the chain.
        let purposes: &[Purpose] = match (presenter, self.client_auth_eku) {
            (Presenter::Server, _) => &[Purpose::Server],
            (Presenter::Client, true) => &[Purpose::Client],
            (Presenter::Client, false) => &[Purpose::Server, Purpose::Client],
        };
        let verify = |purpose: &Purpose| self.verify(leaf, intermediates, *purpose, now);
        let mut verdict = Err(webpki::Error::UnknownIssuer);
        for purpose in purposes {
            verdict = verify(purpose);
            let unfit = matches!(verdict, Err(webpki::Error::RequiredEkuNotFoundContext(_)));
            if !unfit {
                break;
            }
        }
        verdict.map_err(|error| chain_fault(&error, self_issued))?;
        if !may_sign_handshakes(&certificate) {
            return Err(Fault::Purpose);
        }
        if !names_one_of(&certificate, domains) {
            return Err(Fault::WrongName);
        }
        let (leaf, authorities) = ((leaf, &certificate), &self.authorities);
        self.revocation
            .check(leaf, intermediates, authorities, stapled, now)
    }

    /// Whether the chain leads to one of the authorities and may be used for the purpose.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let path = EndEntityCert::try_from(leaf)?;
        let algorithms = provider().signature_verification_algorithms.all;
        let roots = &self.authorities.roots.roots;
        path.verify_for_usage(algorithms, roots, intermediates, now, purpose, None, None)
            .map(|_| ())
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

/// Whether key usage (RFC 5280 §4.2.1.3) allows a TLS handshake; webpki does not look at it.
pub(super) fn may_sign_handshakes(certificate: &X509Certificate<'_>) -> bool {
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
pub(super) enum Purpose {
    Any,
    Server,
    Client,
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, listed: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in listed {
            present.push(purpose?.to_decoded_oid());
        }
        let lists = |wanted: &[usize]| present.iter().any(|oid| oid == wanted);
        let fits = match self {
            Self::Any => true,
            _ if present.is_empty() => true,
            Self::Server => lists(KeyUsage::SERVER_AUTH_REPR),
            Self::Client => lists(KeyUsage::CLIENT_AUTH_REPR),
        };
        if fits {
            return Ok(());
        }
        let required = match self {
            Self::Any | Self::Server => KeyUsage::server_auth(),
            Self::Client => KeyUsage::client_auth(),
        };
        Err(webpki::Error::RequiredEkuNotFoundContext(
            webpki::RequiredEkuNotFoundContext { required, present },
        ))
    }
}
