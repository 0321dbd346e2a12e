//! What a completed handshake negotiated.

use std::sync::Arc;

use rustls::{
    ClientConnection, CommonState, HandshakeKind, ProtocolVersion, RootCertStore, ServerConnection,
    Side,
};

use super::judge::judge_for_each;
use super::recorder::OfferRecorder;
use super::shown;
use crate::event::{CertificateSeen, TlsSession};

/// The session of a connection opened by the target. The first of `domains` is the one that the
/// target claims to be; the others it serves besides.
pub fn server_facts(
    connection: &mut ServerConnection,
    witness: &OfferRecorder,
    domains: &[&str],
    roots: &Arc<RootCertStore>,
) -> TlsSession {
    let sni = connection.server_name().map(str::to_owned);
    TlsSession {
        early_data: connection.early_data().is_some(),
        offered: witness.offered().to_vec(),
        ..facts(connection, sni, Side::Client, domains, roots)
    }
}

/// The session of a connection opened by the partner. `sni` is the name that it sent. The target's
/// certificate has to be valid for the first of `domains`.
pub fn client_facts(
    connection: &ClientConnection,
    witness: &OfferRecorder,
    sni: Option<&str>,
    domains: &[&str],
    roots: &Arc<RootCertStore>,
) -> TlsSession {
    let sni = sni.map(str::to_owned);
    TlsSession {
        early_data: connection.is_early_data_accepted(),
        asked: witness.was_asked(),
        ..facts(connection, sni, Side::Server, domains, roots)
    }
}

fn facts(
    state: &CommonState,
    sni: Option<String>,
    shown_by: Side,
    domains: &[&str],
    roots: &Arc<RootCertStore>,
) -> TlsSession {
    let chain = state.peer_certificates().unwrap_or_default();
    let seen = judge_for_each(chain, shown_by, domains, roots);
    let good = domains.iter().zip(&seen);
    let good = good.filter(|(_, seen)| **seen == CertificateSeen::Good);
    TlsSession {
        version: match state.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "unknown",
        },
        suite: state
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            // rustls marks TLS 1.3 suites in their names; the registry does not.
            .map(|name| name.replacen("TLS13_", "TLS_", 1))
            .unwrap_or_else(|| "unknown".to_owned()),
        sni,
        certified_for: good.map(|(domain, _)| (*domain).to_owned()).collect(),
        shown: shown::facts(chain),
        target_certificate: seen.into_iter().next().unwrap_or_default(),
        alpn: state
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        offered: Vec::new(),
        asked: false,
        resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        early_data: false,
    }
}
