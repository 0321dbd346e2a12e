//! Judges a certificate after its handshake.

use std::sync::Arc;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore, Side};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer, X509Version};

use super::config::provider;
use super::identity::{self, Name};
use crate::event::CertificateSeen;
use crate::pki;

/// The verdict on the target's chain: chain, dates, key usage, and a name for the
/// domain as dNSName, SRVName or id-on-xmppAddr (RFC 6120 §13.7.2).
///
/// `shown_by` is the target's role in TLS. As a client it may show a certificate for either
/// usage, because public authorities issue only for serverAuth. The text in
/// [`CertificateSeen::Bad`] is the same in each run.
pub fn judge(
    chain: &[CertificateDer<'_>],
    shown_by: Side,
    domain: &str,
    roots: &Arc<RootCertStore>,
) -> CertificateSeen {
    let mut seen = judge_for_each(chain, shown_by, &[domain], roots);
    seen.pop().unwrap_or_default()
}

/// The same for several domains, in their order.
pub(super) fn judge_for_each(
    chain: &[CertificateDer<'_>],
    shown_by: Side,
    domains: &[&str],
    roots: &Arc<RootCertStore>,
) -> Vec<CertificateSeen> {
    let Some((end_entity, intermediates)) = chain.split_first() else {
        return vec![CertificateSeen::None; domains.len()];
    };
    match names(end_entity, intermediates, shown_by, roots) {
        Ok(names) => {
            let seen = |domain: &&str| name_fault(&names, domain);
            let seen = domains.iter().map(seen);
            seen.map(|fault| fault.map_or(CertificateSeen::Good, CertificateSeen::Bad))
                .collect()
        }
        Err(fault) => vec![CertificateSeen::Bad(fault); domains.len()],
    }
}

/// The names of a certificate that is valid but for these.
fn names(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    shown_by: Side,
    roots: &Arc<RootCertStore>,
) -> Result<Vec<Name>, String> {
    let Ok((_, readable)) = X509Certificate::from_der(end_entity) else {
        return Err("no readable certificate".to_owned());
    };
    match verify_chain(end_entity, intermediates, shown_by, roots) {
        Ok(()) => Ok(identity::names(&readable)),
        Err(error) => Err(words(&error, &readable)),
    }
}

fn name_fault(names: &[Name], domain: &str) -> Option<String> {
    if identity::any_covers(names, domain) {
        return None;
    }
    if names.is_empty() {
        return Some("no name of a server".to_owned());
    }
    let mut shown: Vec<&str> = Vec::new();
    for name in names {
        if !shown.contains(&name.text()) && shown.len() < 4 {
            shown.push(name.text());
        }
    }
    Some(format!("for {}, not for {domain}", shown.join(", ")))
}

fn verify_chain(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    shown_by: Side,
    roots: &Arc<RootCertStore>,
) -> Result<(), Error> {
    verify_chain_at(end_entity, intermediates, shown_by, roots, pki::unix_time())
}

/// Why a chain does not lead to one of the roots, ignoring the leaf's own dates and
/// purpose, which are separate faults.
pub(super) fn chain_fault(
    end_entity: &CertificateDer<'_>,
    readable: &X509Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &Arc<RootCertStore>,
    at: UnixTime,
) -> Option<String> {
    // Accepting use as a client or as a server covers every purpose that matters here.
    match verify_chain_at(end_entity, intermediates, Side::Client, roots, at) {
        Ok(()) => None,
        Err(error) if is_purpose(&error) => None,
        Err(error) => Some(words(&error, readable)),
    }
}

fn verify_chain_at(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    shown_by: Side,
    roots: &Arc<RootCertStore>,
    now: UnixTime,
) -> Result<(), Error> {
    let for_server = verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(end_entity)?,
        roots,
        intermediates,
        now,
        provider().signature_verification_algorithms.all,
    );
    match for_server {
        Err(error) if shown_by == Side::Client && is_purpose(&error) => {
            verify_for_client(end_entity, intermediates, now, roots)
        }
        verdict => verdict,
    }
}

fn verify_for_client(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    roots: &Arc<RootCertStore>,
) -> Result<(), Error> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?
        .verify_client_cert(end_entity, intermediates, now)
        .map(|_| ())
}

fn is_purpose(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }
        )
    )
}

/// The fault without values that vary between runs, such as dates.
fn words(error: &Error, readable: &X509Certificate<'_>) -> String {
    let Error::InvalidCertificate(fault) = error else {
        return error.to_string();
    };
    let self_signed = readable.subject() == readable.issuer();
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "not yet valid"
        }
        CertificateError::UnknownIssuer if self_signed => "self-signed",
        CertificateError::UnknownIssuer => "unknown issuer",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "extended key usage does not fit"
        }
        CertificateError::BadEncoding => "no readable certificate",
        CertificateError::BadSignature => "wrong signature in the chain",
        CertificateError::UnhandledCriticalExtension => "unknown critical extension",
        CertificateError::Revoked => "revoked",
        // What rustls has no word for.
        CertificateError::Other(_) if self_signed => "self-signed",
        CertificateError::Other(_) if readable.version() == X509Version::V1 => "X.509 version 1",
        CertificateError::Other(_) if readable.is_ca() => "an authority's own",
        other => return other.to_string(),
    }
    .to_owned()
}
