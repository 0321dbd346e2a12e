//! TLS 1.2 and 1.3 towards partners and towards the gateway.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, PeerMisbehaved,
    ServerConfig, SignatureScheme,
};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::credentials::{Authorities, Credentials, provider};
use super::judge::{Fault, Judge, Judged, Presenter};
use crate::domain::Domain;

/// The application protocol of streams between servers (XEP-0368 §3).
const XMPP_SERVER: &[u8] = b"xmpp-server";

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up")]
pub struct TlsError(#[from] rustls::Error);

/// Whether a client is asked for its certificate. It is never demanded from a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// The handshake requests one; a client without one carries on. Wherever SASL may be used.
    Requested,
    /// The handshake requests none.
    NotRequested,
}

/// TLS towards partners.
#[derive(Clone)]
pub struct PartnerTls {
    judge: Arc<Judge>,
    credentials: Credentials,
    strict: bool,
    connector: Arc<ClientConfig>,
    direct_connector: Arc<ClientConfig>,
    direct_acceptor: Arc<ServerConfig>,
    requesting: Arc<ServerConfig>,
    plain: Arc<ServerConfig>,
}

impl fmt::Debug for PartnerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerTls")
            .field("judge", &self.judge)
            .field("credentials", &self.credentials)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl PartnerTls {
    /// TLS that presents the credentials, and with `strict` ends a handshake over a certificate
    /// that the judge finds bad.
    ///
    /// # Errors
    /// [`TlsError`] where rustls refuses the set-up.
    pub fn new(credentials: Credentials, judge: Judge, strict: bool) -> Result<Self, TlsError> {
        let judge = Arc::new(judge);
        let lenient = PeerVerifier::new(Demand::Nothing);
        let verifier = if strict {
            PeerVerifier::new(Demand::GoodServer(Arc::clone(&judge)))
        } else {
            lenient.clone()
        };
        let mut connector = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                credentials.certified.as_ref().clone(),
            )));
        // Each connection is judged by its own certificate, never by a remembered one.
        connector.resumption = Resumption::disabled();
        let mut direct_connector = connector.clone();
        direct_connector.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        let requesting = server(&credentials, Some(lenient))?;
        let mut direct_acceptor = requesting.clone();
        direct_acceptor.alpn_protocols = vec![XMPP_SERVER.to_vec()];
        let plain = server(&credentials, None)?;
        Ok(Self {
            judge,
            credentials,
            strict,
            connector: Arc::new(connector),
            direct_connector: Arc::new(direct_connector),
            direct_acceptor: Arc::new(direct_acceptor),
            requesting: Arc::new(requesting),
            plain: Arc::new(plain),
        })
    }

    /// For dialling a partner: the name of the handshake has to be [`Domain::server_name`] of the
    /// partner's domain. The proxy's own certificate is presented whenever it is asked for.
    ///
    /// With `strict-certificates` a bad certificate ends the handshake with the fitting alert.
    #[must_use]
    pub fn connector(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.connector)
    }

    /// For dialling a partner with direct TLS: as [`PartnerTls::connector`], and by ALPN for a
    /// server's stream (XEP-0368 §3).
    #[must_use]
    pub fn direct_connector(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.direct_connector)
    }

    /// For accepting direct TLS, before anybody has said who it is. A certificate is asked for and
    /// judged once the stream's header names its domain.
    #[must_use]
    pub fn direct_acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct_acceptor)
    }

    /// For accepting a connection of the given domain, known from the stream header.
    ///
    /// With `strict-certificates` a bad certificate ends the handshake with the fitting alert;
    /// the absence of one never does.
    ///
    /// # Errors
    /// [`TlsError`] where rustls refuses the set-up.
    pub fn acceptor(
        &self,
        certificate: ClientCertificate,
        domain: &Domain,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        match certificate {
            ClientCertificate::NotRequested => Ok(Arc::clone(&self.plain)),
            ClientCertificate::Requested if !self.strict => Ok(Arc::clone(&self.requesting)),
            ClientCertificate::Requested => {
                let demand = Demand::GoodClient {
                    judge: Arc::clone(&self.judge),
                    names: vec![domain.clone()],
                    mandatory: false,
                };
                let config = server(&self.credentials, Some(PeerVerifier::new(demand)))?;
                Ok(Arc::new(config))
            }
        }
    }

    /// Judges what the peer presented (`peer_certificates()` of the connection) as the
    /// certificate of the domain, at this moment.
    #[must_use]
    pub fn judge(
        &self,
        presented: Option<&[CertificateDer<'_>]>,
        presenter: Presenter,
        domain: &Domain,
    ) -> Judged {
        let domains = std::slice::from_ref(domain);
        self.judge
            .judge(presented, presenter, domains, UnixTime::now())
    }
}

/// TLS towards the gateway: both sides authenticate.
#[derive(Clone)]
pub struct GatewayTls {
    acceptor: Arc<ServerConfig>,
}

impl fmt::Debug for GatewayTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayTls").finish_non_exhaustive()
    }
}

impl GatewayTls {
    /// Mutual TLS for gateways with one of the names, from one of the authorities.
    ///
    /// # Errors
    /// [`TlsError`] where rustls refuses the set-up.
    pub fn new(
        credentials: &Credentials,
        authorities: Authorities,
        names: Vec<Domain>,
    ) -> Result<Self, TlsError> {
        let demand = Demand::GoodClient {
            judge: Arc::new(Judge::new(authorities, false)),
            names,
            mandatory: true,
        };
        let acceptor = server(credentials, Some(PeerVerifier::new(demand)))?;
        Ok(Self {
            acceptor: Arc::new(acceptor),
        })
    }

    /// For accepting a gateway: the handshake fails unless its certificate chains to the
    /// internal authorities and names one of the gateways.
    #[must_use]
    pub fn acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.acceptor)
    }
}

fn server(
    credentials: &Credentials,
    verifier: Option<PeerVerifier>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(
        credentials.certified.as_ref().clone(),
    )));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// What a certificate has to be for the handshake to go on.
#[derive(Clone, Debug)]
enum Demand {
    Nothing,
    GoodServer(Arc<Judge>),
    GoodClient {
        judge: Arc<Judge>,
        names: Vec<Domain>,
        mandatory: bool,
    },
}

/// Checks handshake signatures always, and certificates as far as demanded.
#[derive(Clone, Debug)]
struct PeerVerifier {
    provider: Arc<CryptoProvider>,
    demand: Demand,
}

impl PeerVerifier {
    fn new(demand: Demand) -> Self {
        Self {
            provider: provider(),
            demand,
        }
    }

    fn tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(certificate)?;
        let entity =
            RawPublicKeyEntity::try_from(&key).map_err(|_| Fault::Malformed.tls_error())?;
        let algorithms = self
            .provider
            .signature_verification_algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?
            .1;
        // A scheme of TLS 1.2 does not fix the curve, so each algorithm that fits the key counts.
        let valid = algorithms.iter().any(|algorithm| {
            entity
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        });
        if valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &public_key(certificate)?,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// For clients of tests: any server will do, as long as it has the key of its certificate.
#[cfg(test)]
pub(super) fn any_server() -> Arc<dyn ServerCertVerifier> {
    Arc::new(PeerVerifier::new(Demand::Nothing))
}

/// The key of a certificate, even of one that webpki does not read (an old version, an unknown
/// critical extension): dialback over TLS wants a working handshake, not a good certificate.
fn public_key(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    if let Ok(parsed) = ParsedCertificate::try_from(certificate) {
        return Ok(parsed.subject_public_key_info());
    }
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(SubjectPublicKeyInfoDer::from(
            parsed.public_key().raw.to_vec(),
        )),
        Err(_) => Err(Fault::Malformed.tls_error()),
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Demand::GoodServer(judge) = &self.demand {
            let domain =
                Domain::parse(&server_name.to_str()).map_err(|_| Fault::WrongName.tls_error())?;
            let names = std::slice::from_ref(&domain);
            let presenter = Presenter::Server;
            if let Some(fault) = judge.fault(end_entity, intermediates, presenter, names, now) {
                return Err(fault.tls_error());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        match self.demand {
            Demand::GoodClient { mandatory, .. } => mandatory,
            Demand::Nothing | Demand::GoodServer(_) => false,
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // With hints, some clients would withhold a certificate that is yet to be judged.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Demand::GoodClient { judge, names, .. } = &self.demand {
            let presenter = Presenter::Client;
            if let Some(fault) = judge.fault(end_entity, intermediates, presenter, names, now) {
                return Err(fault.tls_error());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
