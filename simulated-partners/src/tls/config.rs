//! Configurations of rustls for a partner in both roles.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion,
};

use crate::persona::TlsVersion;
use crate::pki::Identity;

/// The TLS configuration of a partner when dialled: it shows this identity whatever SNI is sent,
/// requests a client certificate without requiring one, and refuses none.
///
/// Without an identity it has no cipher suite in common with any peer: `handshake_failure`. Build it
/// once per partner, not per connection.
///
/// # Errors
/// When no version is given.
pub fn server_config(
    identity: Option<&Arc<Identity>>,
    versions: &[TlsVersion],
) -> Result<Arc<ServerConfig>, Error> {
    server(identity, versions, verifier()).map(Arc::new)
}

/// The same, naming these authorities in its certificate request, and with a demand.
pub(super) fn demanding_server(
    identity: Option<&Arc<Identity>>,
    versions: &[TlsVersion],
    hints: Vec<DistinguishedName>,
    demanded: Demanded,
) -> Result<ServerConfig, Error> {
    let lenient = Lenient {
        algorithms: provider().signature_verification_algorithms,
        hints,
        demanded,
    };
    server(identity, versions, Arc::new(lenient))
}

fn server(
    identity: Option<&Arc<Identity>>,
    versions: &[TlsVersion],
    verifier: Arc<Lenient>,
) -> Result<ServerConfig, Error> {
    let shown = identity.map_or_else(nothing_to_show, |identity| Arc::clone(identity.certified()));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&supported(versions))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Shows(Some(shown))));
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // For what rustls does not do with them; only used there.
    config.enable_secret_extraction = true;
    Ok(config)
}

/// The TLS configuration of a partner when it dials: it refuses no certificate, and shows this identity when
/// asked for one.
///
/// # Errors
/// When no version is given.
pub fn client_config(
    identity: Option<&Arc<Identity>>,
    versions: &[TlsVersion],
) -> Result<Arc<ClientConfig>, Error> {
    let shown = identity.map(|identity| Arc::clone(identity.certified()));
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&supported(versions))?
        .dangerous()
        .with_custom_certificate_verifier(verifier())
        .with_client_cert_resolver(Arc::new(Shows(shown)));
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

/// The crypto provider of all partners.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn verifier() -> Arc<Lenient> {
    static VERIFIER: OnceLock<Arc<Lenient>> = OnceLock::new();
    Arc::clone(VERIFIER.get_or_init(|| {
        Arc::new(Lenient {
            algorithms: provider().signature_verification_algorithms,
            hints: Vec::new(),
            demanded: Demanded::Nothing,
        })
    }))
}

pub(super) fn supported(versions: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    versions
        .iter()
        .map(|version| match version {
            TlsVersion::V12 => &rustls::version::TLS12,
            TlsVersion::V13 => &rustls::version::TLS13,
        })
        .collect()
}

/// What a handshake as a server takes.
#[derive(Debug)]
pub(super) enum Demanded {
    Nothing,
    Certificate,
    /// One that this verifier accepts.
    Verified(Arc<dyn ClientCertVerifier>),
}

/// Accepts any certificate, which [`judge`](super::judge) checks afterwards, unless a server demands more.
///
/// Handshake signatures are still checked: a wrong one means that the certificate does not
/// belong to the target, or that its bytes are not TLS.
#[derive(Debug)]
struct Lenient {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
    demanded: Demanded,
}

impl Lenient {
    /// An unreadable certificate has no key to check a signature with; the verdict says so.
    fn unless_unreadable(
        certificate: &CertificateDer<'_>,
        verdict: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verdict {
            Err(Error::InvalidCertificate(fault))
                if fault != CertificateError::BadSignature
                    && ParsedCertificate::try_from(certificate).is_err() =>
            {
                Ok(HandshakeSignatureValid::assertion())
            }
            verdict => verdict,
        }
    }

    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict =
            rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms);
        Self::unless_unreadable(certificate, verdict)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict =
            rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms);
        Self::unless_unreadable(certificate, verdict)
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        !matches!(self.demanded, Demanded::Nothing)
    }

    /// Empty by default: some servers send no certificate if its issuer is not among the hints.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.demanded {
            Demanded::Nothing | Demanded::Certificate => Ok(ClientCertVerified::assertion()),
            Demanded::Verified(by) => by.verify_client_cert(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Shows the same certificate to every peer, valid or not. rustls's own resolvers refuse some invalid ones.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// Acts as a server configured without a certificate. A resolver that returns `None` would
/// make rustls send `access_denied`, which no other server does at this point.
fn nothing_to_show() -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(Vec::new(), Arc::new(NoKey)))
}

/// A key without an algorithm.
#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        None
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Anonymous
    }
}
