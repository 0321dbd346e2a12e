use std::io;

use rstest::rstest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::persona::TlsVersion;
use crate::tls::{client_config, provider, server_config};

const BOTH: &[TlsVersion] = &[TlsVersion::V12, TlsVersion::V13];

/// Accepts everything, even wrong signatures.
#[derive(Debug)]
struct Blind;

impl ServerCertVerifier for Blind {
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
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Blind {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

fn blind_client() -> Arc<ClientConfig> {
    Arc::new(
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Blind))
            .with_no_client_auth(),
    )
}

fn blind_server() -> Arc<ServerConfig> {
    let shown = Arc::clone(issue_from("").certified());
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(Blind))
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                Arc::unwrap_or_clone(shown),
            ))),
    )
}

fn strict_client() -> Arc<ClientConfig> {
    Arc::new(
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority().roots())
            .with_no_client_auth(),
    )
}

fn strict_server() -> Arc<ServerConfig> {
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        authority().roots(),
        provider(),
    );
    let identity = issue_from("");
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
            .unwrap(),
    )
}

/// The results on both sides, and how many of the other's certificates each saw.
async fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> (io::Result<usize>, io::Result<usize>) {
    let (near, far) = duplex(65_536);
    let accept = async {
        let mut stream = TlsAcceptor::from(server).accept(near).await?;
        stream.write_all(b"s").await?;
        stream.flush().await?;
        let seen = stream.get_ref().1.peer_certificates();
        Ok(seen.map_or(0, |chain| chain.len()))
    };
    let connect = async {
        let name = ServerName::try_from(DOMAIN).unwrap();
        let mut stream = TlsConnector::from(client).connect(name, far).await?;
        stream.read_exact(&mut [0]).await?;
        let seen = stream.get_ref().1.peer_certificates();
        Ok(seen.map_or(0, |chain| chain.len()))
    };
    tokio::join!(accept, connect)
}

#[rstest]
#[case::good("")]
#[case::p384("key = 'p384'")]
#[case::p521("key = 'p521'")]
#[case::ed25519("key = 'ed25519'")]
#[case::rsa1024("key = 'rsa1024'")]
#[case::other_rsa1024("key = 'rsa1024'\npossession = 'other-key'")]
#[case::rsa2048("key = 'rsa2048'")]
#[case::other_key("possession = 'other-key'")]
#[case::huge("public-key = 'huge-rsa'")]
#[case::zero("public-key = 'zero-rsa'")]
#[case::explicit("public-key = 'explicit-curve'")]
#[case::composite("public-key = 'composite-field'")]
#[case::unknown("public-key = 'unknown-curve'")]
#[case::critical("unknown-critical-extension = true")]
#[case::random("malformed = 'random'")]
#[case::empty("malformed = 'empty'")]
#[case::truncated("malformed = 'truncated'")]
#[case::huge_length("malformed = 'huge-length'")]
#[case::trailing("malformed = 'trailing'")]
#[case::nul("names = [{dns=\"a\\u0000b\"}]")]
#[case::no_san("no-san = true")]
#[case::sha1("signature = 'sha1'")]
#[case::broken("signature = 'broken'")]
#[case::itself("issuer = 'self'")]
#[case::impostor("issuer = 'impostor'\nsent = ['leaf', 'intermediates', 'root']")]
#[case::long("intermediate = {authorities = 40}")]
#[case::padded("padding = 20000")]
#[tokio::test]
async fn a_peer_that_does_not_look_completes_with_it(
    #[case] toml: &str,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let identity = issue_from(toml);
    let count = identity.chain().len();
    let server = server_config(Some(&identity), &[version]).unwrap();
    let (server, client) = shake(server, blind_client()).await;
    server.unwrap();
    assert_eq!(client.unwrap(), count);

    let client = client_config(Some(&identity), &[version]).unwrap();
    let (server, client) = shake(blind_server(), client).await;
    client.unwrap();
    assert_eq!(server.unwrap(), count);
}

#[rstest]
#[case("", true)]
#[case("key = 'rsa2048'", true)]
#[case("intermediate = {authorities = 2}", true)]
#[case("sent = ['leaf', 'unrelated', 'intermediates']", true)]
#[case("possession = 'other-key'", false)]
#[case("key = 'rsa2048'\npossession = 'other-key'", false)]
#[case("key = 'ed25519'\npossession = 'other-key'", false)]
#[case("key = 'rsa1024'", false)]
#[case("signature = 'sha1'", false)]
#[case("signature = 'broken'", false)]
#[case("issuer = 'impostor'", false)]
#[case("not-after = '-1h'", false)]
#[case("malformed = 'truncated'", false)]
#[case("public-key = 'off-curve'", false)]
#[case("extended-key-usage = ['email-protection']", false)]
#[tokio::test]
async fn a_strict_peer_takes_what_is_good_and_nothing_else(
    #[case] toml: &str,
    #[case] taken: bool,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let identity = issue_from(toml);
    let server = server_config(Some(&identity), &[version]).unwrap();
    let (_, client) = shake(server, strict_client()).await;
    assert_eq!(client.is_ok(), taken, "{client:?}");

    let client = client_config(Some(&identity), &[version]).unwrap();
    let (server, _) = shake(strict_server(), client).await;
    assert_eq!(server.is_ok(), taken, "{server:?}");
}

#[tokio::test]
async fn a_partner_itself_refuses_a_key_that_is_not_the_certificates() {
    let server = server_config(Some(&issue_from("possession = 'other-key'")), BOTH).unwrap();
    let (_, client) = shake(server, client_config(None, BOTH).unwrap()).await;
    assert!(client.is_err());
    let server = server_config(Some(&issue_from("")), BOTH).unwrap();
    let (_, client) = shake(server, client_config(None, BOTH).unwrap()).await;
    assert!(client.is_ok());
}

#[tokio::test]
async fn a_stolen_certificate_gets_through_nowhere_but_with_the_blind() {
    let theirs = issue_from("");
    let stolen = authority()
        .issue_from(&spec("stolen = '{chain}'"), &|_| theirs.chain_pem())
        .unwrap();
    let client = || client_config(Some(&stolen), BOTH).unwrap();
    assert!(shake(blind_server(), client()).await.0.is_ok());
    assert!(shake(strict_server(), client()).await.0.is_err());
}

#[rstest]
#[case("padding = 1000000")]
#[case("names = [{dns='n{n}.example', times=10000}]")]
#[case("intermediate = {authorities = 200}")]
#[tokio::test]
async fn a_monster_is_sent_and_its_refusal_is_seen(
    #[case] toml: &str,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let identity = issue_from(toml);
    let server = server_config(Some(&identity), &[version]).unwrap();
    let (_, client) = shake(server, strict_client()).await;
    assert!(client.is_err());

    let client = client_config(Some(&identity), &[version]).unwrap();
    let (server, client) = shake(strict_server(), client).await;
    assert!(server.is_err());
    assert!(client.is_err());
}
