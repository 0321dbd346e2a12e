//! Always checks handshake signatures, and checks certificates as far as required.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, PeerMisbehaved, SignatureScheme,
};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::credentials::provider;
use super::judge::{Fault, Judge, Presenter};
use crate::domain::Domain;

/// What a certificate must satisfy for the handshake to continue.
#[derive(Clone, Debug)]
pub(super) enum Demand {
    Nothing,
    GoodServer(Arc<Judge>),
    GoodClient {
        judge: Arc<Judge>,
        names: Vec<Domain>,
        mandatory: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct PeerVerifier {
    provider: Arc<CryptoProvider>,
    demand: Demand,
    stapled: Option<Stapled>,
}

/// What a server stapled to its certificate (RFC 6066 §8), in one handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stapled(Arc<OnceLock<Box<[u8]>>>);

impl Stapled {
    fn keep(&self, answer: &[u8]) {
        // There is one certificate in a handshake.
        let _ = self.0.set(answer.into());
    }

    /// The answer; empty if there was none.
    pub(super) fn answer(&self) -> &[u8] {
        self.0.get().map_or(&[], |answer| answer)
    }
}

impl PeerVerifier {
    pub(super) fn new(demand: Demand) -> Self {
        Self {
            provider: provider(),
            demand,
            stapled: None,
        }
    }

    /// The same verifier for one handshake, whose stapled answer is kept.
    pub(super) fn keeping(&self, stapled: &Stapled) -> Self {
        Self {
            stapled: Some(stapled.clone()),
            ..self.clone()
        }
    }
}

/// The key of a certificate, even of one that webpki does not read (an old version, an unknown
/// critical extension): dialback over TLS needs a working handshake, not a valid certificate.
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
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(stapled) = &self.stapled {
            stapled.keep(ocsp_response);
        }
        if let Demand::GoodServer(judge) = &self.demand {
            Domain::parse(&server_name.to_str())
                .map_err(|_| Fault::WrongName)
                .and_then(|name| {
                    let presenter = Presenter::Server;
                    judge.check(
                        end_entity,
                        intermediates,
                        ocsp_response,
                        presenter,
                        &[name],
                        now,
                    )
                })
                .map_err(Fault::tls_error)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
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
        // A TLS 1.2 scheme does not fix the curve, so each algorithm that fits the key counts.
        let valid = algorithms.iter().any(|algorithm| {
            entity
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        });
        match valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(certificate)?;
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Signatures are checked alike at both ends.
impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        matches!(
            self.demand,
            Demand::GoodClient {
                mandatory: true,
                ..
            }
        )
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // With hints, some clients would withhold a certificate that is not yet known to be valid.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Demand::GoodClient { judge, names, .. } = &self.demand {
            judge
                .check(
                    end_entity,
                    intermediates,
                    &[],
                    Presenter::Client,
                    names,
                    now,
                )
                .map_err(Fault::tls_error)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
