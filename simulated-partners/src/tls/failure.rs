//! Who ended a handshake, and how.

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::alert::alert_name;
use crate::event::{Party, TlsSignal};

/// Interprets an error of a handshake, or of the first bytes after it: in TLS 1.3, a refused
/// client certificate is reported after the client has finished (RFC 8446 §4.4.2.4).
///
/// A received alert comes from the target. An error of rustls itself comes from the partner,
/// and is reported as the alert that it sent. Bytes that are not TLS are [`TlsSignal::Garbage`]: the
/// target's bytes, although the partner ended the handshake.
pub fn failure(error: &io::Error) -> (Party, TlsSignal) {
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match rustls {
        Some(Error::AlertReceived(AlertDescription::CloseNotify)) => {
            (Party::Target, TlsSignal::Closed)
        }
        Some(Error::AlertReceived(alert)) => {
            (Party::Target, TlsSignal::Alert(alert_name((*alert).into())))
        }
        Some(Error::InvalidMessage(_)) => (Party::Partner, TlsSignal::Garbage(error.to_string())),
        Some(own) => {
            let alert = alert_name(sent_for(own).into());
            (Party::Partner, TlsSignal::Alert(alert))
        }
        None => (Party::Target, TlsSignal::Closed),
    }
}

/// The alert that rustls sends for one of its own errors. rustls keeps this table private.
fn sent_for(error: &Error) -> AlertDescription {
    match error {
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            AlertDescription::UnexpectedMessage
        }
        Error::NoCertificatesPresented => AlertDescription::CertificateRequired,
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => AlertDescription::ProtocolVersion,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::PeerMisbehaved(_) => AlertDescription::IllegalParameter,
        Error::InvalidCertificate(fault) => fault.clone().into(),
        Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        Error::NoApplicationProtocol => AlertDescription::NoApplicationProtocol,
        _ => AlertDescription::InternalError,
    }
}
