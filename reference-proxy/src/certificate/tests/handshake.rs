use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::date_time_ymd;
use rstest::rstest;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, Error,
    ServerConfig, ServerConnection, SignatureScheme, SupportedProtocolVersion,
};

use super::{domain, with_extension};
use crate::certificate::credentials::provider;
use crate::certificate::fixture::{Authority, Leaf, leaf};
use crate::certificate::verifier::{Demand, PeerVerifier};
use crate::certificate::{
    CertificateRequest, Fault, GatewayTls, Identities, Judge, Judged, PartnerTls, Revocation,
    RevocationPolicy,
};

/// How a handshake ended on both sides.
struct Ended {
    client: Result<(), Error>,
    server: Result<(), Error>,
    /// What the client presented.
    presented: Option<Vec<CertificateDer<'static>>>,
}

fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Ended {
    let name = domain(name).server_name();
    let mut client =
        Connection::from(ClientConnection::new(Arc::clone(client), name).expect("a client"));
    let mut server = Connection::from(ServerConnection::new(Arc::clone(server)).expect("a server"));
    let mut client_end = Ok(());
    let mut server_end = Ok(());
    for _ in 0..10 {
        if server_end.is_ok() {
            server_end = pass(&mut client, &mut server);
        }
        if client_end.is_ok() {
            client_end = pass(&mut server, &mut client);
        }
    }
    if client_end.is_ok() && server_end.is_ok() {
        assert!(!client.is_handshaking() && !server.is_handshaking());
    }
    Ended {
        client: client_end,
        server: server_end,
        presented: server.peer_certificates().map(|chain| {
            let owned = chain.iter().map(|one| one.clone().into_owned());
            owned.collect()
        }),
    }
}

fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).expect("memory");
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("memory");
        to.process_new_packets()?;
    }
    Ok(())
}

/// TLS of a proxy for `alpha.example`, that trusts the authority.
fn partner_tls(authority: &Authority, own: &Leaf, strict: bool) -> PartnerTls {
    let judge = Judge::new(authority.authorities(), false);
    let identities = Identities {
        usual: own.credentials(),
        own: BTreeMap::new(),
    };
    PartnerTls::new(identities, judge, strict).expect("TLS")
}

/// A client that presents the leaf, or nothing, and accepts any server.
fn client(leaf: Option<&Leaf>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PeerVerifier::new(Demand::Nothing)));
    Arc::new(match leaf {
        Some(leaf) => builder
            .with_client_auth_cert(vec![leaf.der()], leaf.key())
            .expect("a client"),
        None => builder.with_no_client_auth(),
    })
}

fn serving(
    certified: CertifiedKey,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_cert_resolver(resolver),
    )
}

fn certified(leaf: &Leaf, key: &Leaf) -> CertifiedKey {
    let key = provider()
        .key_provider
        .load_private_key(key.key())
        .expect("a key");
    CertifiedKey::new(vec![leaf.der()], key)
}

#[rstest]
fn bad_server_is_refused_only_where_strict(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("CA");
    let own = authority.issue(&["alpha.example"]);
    let lenient = partner_tls(&authority, &own, false)
        .connector(&domain("alpha.example"), false)
        .0;
    let strict = partner_tls(&authority, &own, true)
        .connector(&domain("alpha.example"), false)
        .0;
    let mut expired = leaf(&["fp.example"]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    for (leaf, alert) in [
        (authority.issue(&["fp.example"]), None),
        (
            authority.issue(&["fp2.example"]),
            Some(AlertDescription::BadCertificate),
        ),
        (
            authority.issue_with(&expired),
            Some(AlertDescription::CertificateExpired),
        ),
        (
            Authority::new("Other").issue(&["fp.example"]),
            Some(AlertDescription::UnknownCA),
        ),
        (
            authority.issue_with(&with_extension(true)),
            Some(AlertDescription::BadCertificate),
        ),
    ] {
        let server = serving(certified(&leaf, &leaf), version);
        let ended = handshake(&lenient, &server, "fp.example");
        assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
        let ended = handshake(&strict, &server, "fp.example");
        match alert {
            None => assert_eq!((ended.client, ended.server), (Ok(()), Ok(()))),
            Some(alert) => {
                assert!(matches!(ended.client, Err(Error::InvalidCertificate(_))));
                assert_eq!(ended.server, Err(Error::AlertReceived(alert)));
            }
        }
    }
}

#[rstest]
fn signature_of_another_key_is_always_refused(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("CA");
    let own = authority.issue(&["alpha.example"]);
    let lenient = partner_tls(&authority, &own, false);
    let one = authority.issue(&["fp.example"]);
    let other = authority.issue(&["fp.example"]);
    let ended = handshake(
        &lenient.connector(&domain("alpha.example"), false).0,
        &serving(certified(&one, &other), version),
        "fp.example",
    );
    assert_eq!(
        ended.client,
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    );
    let mut cheat = (*client(None, version)).clone();
    cheat.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified(&one, &other)));
    let acceptor = lenient.acceptor(
        &domain("alpha.example"),
        &CertificateRequest::Of(domain("fp.example")),
    );
    let ended = handshake(&Arc::new(cheat), &acceptor.expect("TLS"), "alpha.example");
    assert_eq!(
        ended.server,
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    );
}

#[rstest]
fn client_certificate_is_requested_and_judged_not_demanded(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("CA");
    let own = authority.issue(&["alpha.example"]);
    let partner = domain("fp.example");
    let good = authority.issue(&["fp.example"]);
    let wrong = authority.issue(&["fp2.example"]);
    for strict in [false, true] {
        let tls = partner_tls(&authority, &own, strict);
        let acceptor = tls.acceptor(
            &domain("alpha.example"),
            &CertificateRequest::Of(partner.clone()),
        );
        let acceptor = acceptor.expect("TLS");
        for (leaf, judged) in [
            (Some(&good), Judged::Good),
            (Some(&wrong), Judged::Bad(Fault::WrongName)),
            (None, Judged::Absent),
        ] {
            let ended = handshake(&client(leaf, version), &acceptor, "alpha.example");
            if strict && matches!(judged, Judged::Bad(_)) {
                assert!(matches!(ended.server, Err(Error::InvalidCertificate(_))));
                let alert = AlertDescription::BadCertificate;
                assert_eq!(ended.client, Err(Error::AlertReceived(alert)));
                continue;
            }
            assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
            let presented = ended.presented.as_deref();
            assert_eq!(tls.judge_client(presented, &partner), judged);
        }
        let acceptor = tls.acceptor(&domain("alpha.example"), &CertificateRequest::No);
        let acceptor = acceptor.expect("TLS");
        let ended = handshake(&client(Some(&wrong), version), &acceptor, "alpha.example");
        assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
        assert_eq!(ended.presented, None);
        // Nothing can be said of a nameless peer's certificate yet, so that it passes the handshake.
        let acceptor = tls.acceptor(&domain("alpha.example"), &CertificateRequest::Anybody);
        let acceptor = acceptor.expect("TLS");
        let ended = handshake(&client(Some(&wrong), version), &acceptor, "alpha.example");
        assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
        let presented = ended.presented.as_deref();
        let judged = tls.judge_client(presented, &partner);
        assert_eq!(judged, Judged::Bad(Fault::WrongName));
    }
}

#[test]
fn two_proxies_authenticate_each_other() {
    let authority = Authority::new("CA");
    let alpha = partner_tls(&authority, &authority.issue(&["alpha.example"]), true);
    let beta = partner_tls(&authority, &authority.issue(&["beta.example"]), true);
    let acceptor = beta.acceptor(
        &domain("beta.example"),
        &CertificateRequest::Of(domain("alpha.example")),
    );
    let ended = handshake(
        &alpha.connector(&domain("alpha.example"), false).0,
        &acceptor.expect("TLS"),
        "beta.example",
    );
    assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
    let judged = beta.judge_client(ended.presented.as_deref(), &domain("alpha.example"));
    assert_eq!(judged, Judged::Good);
}

#[rstest]
fn gateway_has_to_present_its_certificate(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("Internal CA");
    let tls = GatewayTls::new(
        &authority.issue(&["proxy.alpha.example"]).credentials(),
        authority.authorities(),
        vec![domain("gateway.alpha.example")],
        BTreeMap::new(),
    );
    let acceptor = tls.expect("TLS").acceptor;
    let good = authority.issue(&["gateway.alpha.example"]);
    let ended = handshake(
        &client(Some(&good), version),
        &acceptor,
        "proxy.alpha.example",
    );
    assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
    let wrong = authority.issue(&["other.alpha.example"]);
    let foreign = Authority::new("Other").issue(&["gateway.alpha.example"]);
    for (leaf, alert) in [
        (None, AlertDescription::CertificateRequired),
        (Some(&wrong), AlertDescription::BadCertificate),
        (Some(&foreign), AlertDescription::UnknownCA),
    ] {
        let ended = handshake(&client(leaf, version), &acceptor, "proxy.alpha.example");
        assert!(ended.server.is_err());
        assert_eq!(ended.client, Err(Error::AlertReceived(alert)));
    }
}

/// The leaf that the server presents to a client that asks for this name.
fn shown(acceptor: &Arc<ServerConfig>, asks_for: &str) -> CertificateDer<'static> {
    let name = domain(asks_for).server_name();
    let client = client(None, &TLS13);
    let mut client = Connection::from(ClientConnection::new(client, name).expect("a client"));
    let mut server =
        Connection::from(ServerConnection::new(Arc::clone(acceptor)).expect("a server"));
    pass(&mut client, &mut server).expect("a ClientHello");
    pass(&mut server, &mut client).expect("a certificate");
    client.peer_certificates().expect("a chain")[0]
        .clone()
        .into_owned()
}

#[rstest]
fn stapled_answer_is_kept_for_the_verdict(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("CA");
    let own = authority.issue(&["alpha.example"]);
    let tls = |policy, strict| {
        let judge = Judge::new(authority.authorities(), false).heeding(Revocation {
            policy,
            ..Revocation::default()
        });
        let identities = Identities {
            usual: own.credentials(),
            own: BTreeMap::new(),
        };
        PartnerTls::new(identities, judge, strict).expect("TLS")
    };
    let partner = authority.issue(&["fp.example"]);
    let serving = |answer: Option<&[u8]>| {
        let mut shown = certified(&partner, &partner);
        shown.ocsp = answer.map(<[u8]>::to_vec);
        serving(shown, version)
    };
    let (alpha, name) = (domain("alpha.example"), domain("fp.example"));
    let heeding = tls(RevocationPolicy::IfThere, false);
    for answer in [Some(&b"one"[..]), Some(b"two"), None] {
        let (client, stapled) = heeding.connector(&alpha, false);
        let ended = handshake(&client, &serving(answer), "fp.example");
        assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
        assert_eq!(stapled.answer(), answer.unwrap_or_default());
        let chain = [partner.der()];
        let judged = heeding.judge_server(Some(&chain), &stapled, &name);
        assert_eq!(judged, Judged::Good, "an answer of no use says nothing");
    }
    let (client, stapled) = tls(RevocationPolicy::Off, false).connector(&alpha, false);
    handshake(&client, &serving(Some(b"one")), "fp.example");
    assert_eq!(stapled.answer(), b"");
    // Where certificates decide about the handshake, so does revocation.
    let (client, _) = tls(RevocationPolicy::Required, true).connector(&alpha, false);
    let ended = handshake(&client, &serving(None), "fp.example");
    let unknown = CertificateError::UnknownRevocationStatus;
    assert_eq!(ended.client, Err(Error::InvalidCertificate(unknown)));
    assert!(ended.server.is_err());
}

/// What verifies signatures of these schemes in handshakes.
fn verifying(schemes: &[SignatureScheme]) -> Arc<CryptoProvider> {
    let mut provider = provider().as_ref().clone();
    let algorithms = &mut provider.signature_verification_algorithms;
    let mapping = algorithms.mapping.iter();
    let mapping: Vec<_> = mapping
        .filter(|(scheme, _)| schemes.contains(scheme))
        .copied()
        .collect();
    algorithms.mapping = mapping.leak();
    Arc::new(provider)
}

#[rstest]
fn peer_gets_a_key_that_it_can_verify(
    #[values(&TLS12, &TLS13)] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new("CA");
    let ecdsa = authority.issue(&["alpha.example"]);
    let rsa = authority.issue_rsa(&["alpha.example"]);
    let identities = Identities {
        usual: ecdsa.credentials().and(&rsa.credentials()),
        own: BTreeMap::new(),
    };
    let judge = Judge::new(authority.authorities(), false);
    let tls = PartnerTls::new(identities, judge, false).expect("TLS");
    let acceptor = tls.acceptor(&domain("alpha.example"), &CertificateRequest::Anybody);
    let acceptor = acceptor.expect("TLS");
    let (connector, _) = tls.connector(&domain("alpha.example"), false);
    let roots = authority.authorities().roots;
    let rsa_only = [
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA256,
    ];
    let ecdsa_only = [SignatureScheme::ECDSA_NISTP256_SHA256];
    for (schemes, due) in [(&rsa_only[..], &rsa), (&ecdsa_only, &ecdsa)] {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), verifying(schemes));
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .dangerous()
            .with_custom_certificate_verifier(verifier.build().expect("a verifier"))
            .with_no_client_auth();
        let name = domain("alpha.example").server_name();
        let client = ClientConnection::new(Arc::new(client), name).expect("a client");
        let mut client = Connection::from(client);
        let server = ServerConnection::new(Arc::clone(&acceptor)).expect("a server");
        let mut server = Connection::from(server);
        for _ in 0..4 {
            pass(&mut client, &mut server).expect("a handshake");
            pass(&mut server, &mut client).expect("a handshake");
        }
        let seen = client.peer_certificates().expect("a chain")[0].clone();
        assert_eq!(seen, due.der(), "{schemes:?}");

        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), verifying(schemes));
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(due, due))));
        let ended = handshake(&connector, &Arc::new(server), "alpha.example");
        assert_eq!(
            ended.presented.expect("a chain")[0],
            due.der(),
            "{schemes:?}"
        );
    }
}

#[test]
fn each_domain_is_presented_with_its_own_certificate() {
    let authority = Authority::new("CA");
    let [alpha, chat] =
        ["alpha.example", "chat.alpha.example"].map(|name| authority.issue(&[name]));
    let identities = Identities {
        usual: alpha.credentials(),
        own: BTreeMap::from([(domain("chat.alpha.example"), chat.credentials())]),
    };
    let judge = Judge::new(authority.authorities(), false);
    let tls = PartnerTls::new(identities, judge, false).expect("TLS");
    let leaf = |leaf: &Leaf| leaf.der();
    for (addressed, asked, due) in [
        ("alpha.example", "alpha.example", &alpha),
        ("chat.alpha.example", "chat.alpha.example", &chat),
        // The `to` of the stream comes first (RFC 6120 §5.4.3.1).
        ("alpha.example", "chat.alpha.example", &alpha),
        ("chat.alpha.example", "xmpp.example", &chat),
        ("alpha.example", "xmpp.example", &alpha),
    ] {
        let acceptor = tls.acceptor(&domain(addressed), &CertificateRequest::No);
        let seen = shown(&acceptor.expect("TLS"), asked);
        assert_eq!(seen, leaf(due), "{addressed}, SNI {asked}");
    }
    assert_eq!(
        shown(&tls.direct_acceptor(), "chat.alpha.example"),
        leaf(&chat)
    );
    for (own, due) in [("alpha.example", &alpha), ("chat.alpha.example", &chat)] {
        let (connector, _) = tls.connector(&domain(own), false);
        let acceptor = tls.acceptor(&domain("alpha.example"), &CertificateRequest::Anybody);
        let ended = handshake(&connector, &acceptor.expect("TLS"), "alpha.example");
        assert_eq!(ended.presented.expect("a chain")[0], leaf(due), "as {own}");
    }
}
