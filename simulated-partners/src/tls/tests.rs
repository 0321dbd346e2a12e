mod options;

use std::io;
use std::sync::{Arc, OnceLock};

use rstest::rstest;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::event::{CertificateSeen, Party, TlsSession, TlsSignal};
use crate::persona::{Certificate, Key, TlsVersion};
use crate::pki::{Authority, Identity};

const BOTH: &[TlsVersion] = &[TlsVersion::V12, TlsVersion::V13];

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(1))
}

fn identity(name: &str, kind: Certificate) -> Option<Arc<Identity>> {
    authority().issue(&[name], kind, Key::P256)
}

type Connected = (
    io::Result<server::TlsStream<DuplexStream>>,
    io::Result<client::TlsStream<DuplexStream>>,
);

/// Both sides, each until it has finished or failed. The first bytes after the handshake belong to it.
async fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Connected {
    let (near, far) = duplex(65_536);
    let accept = async {
        let mut stream = TlsAcceptor::from(server).accept(near).await?;
        stream.write_all(b"s").await?;
        stream.flush().await?;
        Ok(stream)
    };
    let connect = async {
        let name = ServerName::try_from("a.example").unwrap();
        let mut stream = TlsConnector::from(client).connect(name, far).await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        Ok(stream)
    };
    tokio::join!(accept, connect)
}

/// A target that checks certificates.
fn strict_client(versions: &[TlsVersion]) -> Arc<ClientConfig> {
    Arc::new(
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&config::supported(versions))
            .unwrap()
            .with_root_certificates(authority().roots())
            .with_no_client_auth(),
    )
}

fn strict_server(versions: &[TlsVersion], mandatory: bool) -> Arc<ServerConfig> {
    let builder = rustls::server::WebPkiClientVerifier::builder_with_provider(
        authority().roots(),
        provider(),
    );
    let builder = if mandatory {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let identity = identity("a.example", Certificate::Good).unwrap();
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&config::supported(versions))
            .unwrap()
            .with_client_cert_verifier(builder.build().unwrap())
            .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
            .unwrap(),
    )
}

fn alert(by: Party, name: &str) -> (Party, TlsSignal) {
    (by, TlsSignal::Alert(name.into()))
}

#[rstest]
#[tokio::test]
async fn both_sides_know_what_was_agreed(
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
    #[values(Key::P256, Key::Rsa2048, Key::Ed25519)] key: Key,
) {
    let roots = authority().roots();
    let shown = |name| authority().issue(&[name], Certificate::Good, key);
    let server = server_config(shown("a.example").as_ref(), BOTH).unwrap();
    let client = client_config(shown("b.example").as_ref(), &[version]).unwrap();
    let (server, client) = shake(server, client).await;
    let (mut server, client) = (server.unwrap(), client.unwrap());

    let witness = OfferRecorder::default();
    let at_server = server_facts(server.get_mut().1, &witness, &["b.example"], &roots);
    let at_client = client_facts(
        client.get_ref().1,
        &witness,
        Some("a.example"),
        &["a.example", "b.example"],
        &roots,
    );
    assert_eq!(at_server.certified_for, ["b.example"]);
    assert_eq!(at_client.certified_for, ["a.example"]);
    assert_eq!(at_server.shown["subject"], "O=s2spec lab, CN=b.example");
    assert_eq!(at_client.shown["subject"], "O=s2spec lab, CN=a.example");
    let at_client = TlsSession {
        shown: at_server.shown.clone(),
        certified_for: at_server.certified_for.clone(),
        ..at_client
    };
    assert_eq!(at_server, at_client);
    let (version, prefix) = match version {
        TlsVersion::V12 => ("1.2", "TLS_ECDHE_"),
        TlsVersion::V13 => ("1.3", "TLS_AES_"),
    };
    assert_eq!(at_server.version, version);
    assert!(at_server.suite.starts_with(prefix), "{}", at_server.suite);
    assert_eq!(at_server.sni.as_deref(), Some("a.example"));
    assert_eq!(at_server.target_certificate, CertificateSeen::Good);
    let stranger = server_facts(server.get_mut().1, &witness, &["a.example"], &roots);
    assert_ne!(stranger.target_certificate, CertificateSeen::Good);
}

#[rstest]
#[case(Certificate::Good, CertificateSeen::Good)]
#[case(Certificate::Expired, CertificateSeen::Bad("expired".into()))]
#[case(Certificate::SelfSigned, CertificateSeen::Bad("self-signed".into()))]
#[case(Certificate::UnknownCa, CertificateSeen::Bad("unknown issuer".into()))]
#[case(Certificate::NoClientAuth, CertificateSeen::Good)]
#[case(Certificate::None, CertificateSeen::None)]
#[tokio::test]
async fn any_client_certificate_completes_and_is_judged(
    #[case] kind: Certificate,
    #[case] seen: CertificateSeen,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let server = server_config(identity("a.example", Certificate::Good).as_ref(), BOTH).unwrap();
    let client = client_config(identity("b.example", kind).as_ref(), &[version]).unwrap();
    let (server, client) = shake(server, client).await;
    client.unwrap();
    let facts = server_facts(
        server.unwrap().get_mut().1,
        &OfferRecorder::default(),
        &["b.example"],
        &authority().roots(),
    );
    assert_eq!(facts.target_certificate, seen);
}

#[rstest]
#[case(Certificate::Good, CertificateSeen::Good)]
#[case(Certificate::Expired, CertificateSeen::Bad("expired".into()))]
#[case(Certificate::MissingIntermediate, CertificateSeen::Bad("unknown issuer".into()))]
#[tokio::test]
async fn any_server_certificate_completes_and_is_judged(
    #[case] kind: Certificate,
    #[case] seen: CertificateSeen,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let server = server_config(identity("a.example", kind).as_ref(), BOTH).unwrap();
    let client = client_config(None, &[version]).unwrap();
    let (server, client) = shake(server, client).await;
    server.unwrap();
    let client = client.unwrap();
    let roots = authority().roots();
    let facts = client_facts(
        client.get_ref().1,
        &OfferRecorder::default(),
        None,
        &["a.example"],
        &roots,
    );
    assert_eq!(facts.target_certificate, seen);
}

/// A target that shows a chain with a key that need not belong to it.
fn mismatched(chain: Vec<CertificateDer<'static>>, key: Key) -> Arc<ServerConfig> {
    let owner = authority().issue(&["a.example"], Certificate::Good, key);
    let shown = CertifiedKey::new(chain, Arc::clone(&owner.unwrap().certified().key));
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&config::supported(BOTH))
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown))),
    )
}

#[rstest]
#[tokio::test]
async fn an_unreadable_certificate_completes_and_is_judged(
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let target = mismatched(vec![b"no certificate".to_vec().into()], Key::P256);
    let partner = client_config(None, &[version]).unwrap();
    let (server, client) = shake(target, partner).await;
    server.unwrap();
    let client = client.unwrap();
    let roots = authority().roots();
    let facts = client_facts(
        client.get_ref().1,
        &OfferRecorder::default(),
        None,
        &["a.example"],
        &roots,
    );
    let bad = CertificateSeen::Bad("no readable certificate".into());
    assert_eq!(facts.target_certificate, bad);
}

#[rstest]
#[tokio::test]
async fn a_certificate_with_the_key_of_another_is_refused(
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let good = identity("a.example", Certificate::Good).unwrap();
    let stranger = Authority::new(2);
    let strange = stranger.issue(&["a.example"], Certificate::Good, Key::P256);
    let chain = strange.unwrap().chain().to_vec();
    let partner = || client_config(None, &[version]).unwrap();
    let (server, client) = shake(mismatched(chain, Key::P256), partner()).await;
    assert_eq!(
        failure(&client.unwrap_err()),
        alert(Party::Partner, "decrypt_error")
    );
    assert!(server.is_err());
    let (server, client) = shake(mismatched(good.chain().to_vec(), Key::P256), partner()).await;
    assert!(server.is_ok() && client.is_ok());
}

#[rstest]
#[case(Certificate::Expired, "certificate_expired")]
#[case(Certificate::SelfSigned, "unknown_ca")]
#[case(Certificate::UnknownCa, "unknown_ca")]
#[case(Certificate::WrongName, "bad_certificate")]
#[tokio::test]
async fn a_refusal_of_the_partner_is_read_as_the_targets_alert(
    #[case] kind: Certificate,
    #[case] name: &str,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let partner = server_config(identity("a.example", kind).as_ref(), BOTH).unwrap();
    let (server, client) = shake(partner, strict_client(&[version])).await;
    assert!(client.is_err());
    assert_eq!(failure(&server.unwrap_err()), alert(Party::Target, name));

    let partner = server_config(identity("a.example", Certificate::Good).as_ref(), BOTH).unwrap();
    let (server, client) = shake(partner, strict_client(&[version])).await;
    assert!(client.is_ok() && server.is_ok());
}

#[rstest]
#[case(Certificate::Expired, "certificate_expired")]
#[case(Certificate::NoClientAuth, "unsupported_certificate")]
#[case(Certificate::None, "certificate_required")]
#[tokio::test]
async fn a_refused_client_certificate_is_read_from_the_first_bytes(
    #[case] kind: Certificate,
    #[case] name: &str,
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let partner = client_config(identity("b.example", kind).as_ref(), &[version]).unwrap();
    let (_, client) = shake(strict_server(BOTH, true), partner).await;
    assert_eq!(failure(&client.unwrap_err()), alert(Party::Target, name));

    let good = identity("b.example", Certificate::Good);
    let partner = client_config(good.as_ref(), &[version]).unwrap();
    let (server, client) = shake(strict_server(BOTH, true), partner).await;
    assert!(client.is_ok() && server.is_ok());
}

#[rstest]
#[tokio::test]
async fn without_certificate_a_server_fails_the_handshake(
    #[values(TlsVersion::V12, TlsVersion::V13)] version: TlsVersion,
) {
    let partner = server_config(None, BOTH).unwrap();
    let (server, client) = shake(partner, strict_client(&[version])).await;
    let by_partner = failure(&server.unwrap_err());
    assert_eq!(by_partner, alert(Party::Partner, "handshake_failure"));
    // The other side saw the same.
    let seen = failure(&client.unwrap_err());
    assert_eq!(seen, alert(Party::Target, "handshake_failure"));
}

#[rstest]
#[case(&[TlsVersion::V12], &[TlsVersion::V13])]
#[case(&[TlsVersion::V13], &[TlsVersion::V12])]
#[tokio::test]
async fn an_own_error_is_given_as_the_alert_that_was_sent(
    #[case] partner: &[TlsVersion],
    #[case] target: &[TlsVersion],
) {
    let good = identity("a.example", Certificate::Good);
    let server = server_config(good.as_ref(), partner).unwrap();
    let (server, client) = shake(server, strict_client(target)).await;
    let own = failure(&server.unwrap_err());
    assert_eq!(own, alert(Party::Partner, "protocol_version"));
    let seen = failure(&client.unwrap_err());
    assert_eq!(seen, alert(Party::Target, "protocol_version"));

    let client = client_config(None, partner).unwrap();
    let (server, client) = shake(strict_server(target, false), client).await;
    assert_eq!(failure(&client.unwrap_err()).1, own.1);
    assert_eq!(failure(&server.unwrap_err()).1, own.1);
}

#[test]
fn no_version_at_all_is_an_error() {
    assert!(server_config(None, &[]).is_err());
    assert!(client_config(None, &[]).is_err());
    assert!(server_config(None, BOTH).is_ok());
}

#[tokio::test]
async fn garbage_and_silence_are_distinguished() {
    let server = || {
        let good = identity("a.example", Certificate::Good);
        TlsAcceptor::from(server_config(good.as_ref(), BOTH).unwrap())
    };
    let (near, mut far) = duplex(1024);
    far.write_all(legacy::garbage()).await.unwrap();
    let (by, signal) = failure(&server().accept(near).await.unwrap_err());
    assert_eq!(by, Party::Partner);
    assert!(matches!(signal, TlsSignal::Garbage(_)), "{signal:?}");

    let (near, far) = duplex(1024);
    drop(far);
    let seen = failure(&server().accept(near).await.unwrap_err());
    assert_eq!(seen, (Party::Target, TlsSignal::Closed));
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(failure(&reset), (Party::Target, TlsSignal::Closed));
}

#[test]
fn a_server_refuses_the_legacy_hello() {
    let good = identity("a.example", Certificate::Good).unwrap();
    let config = server_config(Some(&good), BOTH).unwrap();
    for sni in [None, Some("a.example")] {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let hello = legacy::client_hello_tls10(sni);
        connection.read_tls(&mut hello.as_slice()).unwrap();
        let error = connection.process_new_packets().unwrap_err();
        let mut answer = Vec::new();
        connection.write_tls(&mut answer).unwrap();
        let sent = legacy::read_alert(&answer);
        // Not a complaint about the hello's form, and the same reason as here.
        assert_eq!(sent.as_deref(), Some("handshake_failure"), "{error}");
        let own = failure(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(own, alert(Party::Partner, "handshake_failure"));
    }
}

#[test]
fn a_client_refuses_the_legacy_hello() {
    let name = ServerName::try_from("a.example").unwrap();
    let mut connection = ClientConnection::new(strict_client(BOTH), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    assert_eq!(legacy::read_answer(&hello), legacy::Answer::ClientHello);
    let answer = legacy::server_hello_tls10([1; 32]);
    assert_eq!(legacy::read_answer(&answer), legacy::Answer::ServerHello);
    connection.read_tls(&mut answer.as_slice()).unwrap();
    connection.process_new_packets().unwrap_err();
    let mut refusal = Vec::new();
    connection.write_tls(&mut refusal).unwrap();
    assert_eq!(
        legacy::read_answer(&refusal),
        legacy::Answer::Alert("protocol_version".into())
    );
    // After its hello, as in a capture.
    hello.extend(refusal);
    assert_eq!(
        legacy::read_alert(&hello).as_deref(),
        Some("protocol_version")
    );
}

#[test]
fn answers_are_read_at_any_length() {
    use legacy::Answer;

    let warning = [21, 3, 1, 0, 2, 1, 112];
    let fatal = [21, 3, 1, 0, 2, 2, 40];
    let both = [warning, fatal].concat();
    for length in 0..both.len() {
        assert_eq!(legacy::read_answer(&both[..length]), Answer::Incomplete);
        assert_eq!(legacy::read_alert(&both[..length]), None);
    }
    let refused = Answer::Alert("handshake_failure".into());
    assert_eq!(legacy::read_answer(&both), refused);
    for text in [&b"<stream:error/>"[..], legacy::garbage(), &[22, 9]] {
        assert_eq!(legacy::read_answer(text), Answer::NotTls);
    }
}

proptest::proptest! {
    #[test]
    fn reading_answers_never_panics(bytes: Vec<u8>) {
        let _ = legacy::read_answer(&bytes);
        let _ = legacy::read_alert(&bytes);
        let _ = read(&bytes);
        // A record with a hello of any content.
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).min(16_000);
        let content = &bytes[..length.into()];
        for kind in [1, 2] {
            let mut record = vec![22, 3, 3];
            record.extend((length + 4).to_be_bytes());
            record.extend([kind, 0]);
            record.extend(length.to_be_bytes());
            record.extend(content);
            assert_eq!(read(&record).len(), 1);
        }
    }

    #[test]
    fn judging_never_panics(bytes: Vec<u8>, flip: (usize, u8)) {
        let roots = Arc::new(RootCertStore::empty());
        let mut real = identity("a.example", Certificate::Good).unwrap().chain()[0].to_vec();
        let at = flip.0 % real.len();
        real[at] ^= flip.1;
        for bytes in [bytes, real] {
            for side in [rustls::Side::Client, rustls::Side::Server] {
                let seen = judge(&[bytes.clone().into()], side, "a.example", &roots);
                assert_ne!(seen, CertificateSeen::Good);
            }
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_and_offered_is_seen() {
    let roots = authority().roots();
    let shown = identity("a.example", Certificate::Good);
    let options = TlsOptions {
        alpn: vec!["h2".to_owned(), "xmpp-server".to_owned()],
        ..TlsOptions::default()
    };
    let server = TlsOptions {
        alpn: vec!["xmpp-server".to_owned()],
        ..TlsOptions::default()
    };
    let server = server.server(shown.as_ref(), BOTH, &roots).unwrap();
    let (server, at_server) = OfferRecorder::server(&server);
    let (client, at_client) = OfferRecorder::client(&options.client(shown.as_ref(), BOTH).unwrap());
    let (server, client) = shake(server, client).await;
    let (mut server, client) = (server.unwrap(), client.unwrap());
    let facts = server_facts(server.get_mut().1, &at_server, &["a.example"], &roots);
    assert_eq!(facts.offered, ["h2", "xmpp-server"]);
    assert_eq!(facts.alpn.as_deref(), Some("xmpp-server"));
    assert!(!facts.resumed && !facts.early_data);
    let facts = client_facts(client.get_ref().1, &at_client, None, &["a.example"], &roots);
    assert!(facts.asked && facts.offered.is_empty());
}
