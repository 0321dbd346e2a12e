use std::sync::Arc;

use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    NameConstraints, date_time_ymd,
};
use rstest::rstest;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, Error,
    ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::credentials::provider;
use super::fixture::{
    Authority, IA5, Leaf, UTF8, dns_name, leaf, leaf_with_names, srv_name, xmpp_addr,
};
use super::tls::any_server;
use super::*;
use crate::domain::Domain;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn judged_by(judge: &Judge, presenter: Presenter, chain: &[CertificateDer<'_>]) -> Judged {
    let names = [domain("fp.example")];
    judge.judge(Some(chain), presenter, &names, UnixTime::now())
}

/// The verdict on a leaf of a trusted authority, as server and as client.
fn judged(params: &CertificateParams) -> Judged {
    let authority = Authority::new("CA");
    let judge = Judge::new(authority.authorities(), false);
    let chain = [authority.issue_with(params).der()];
    let as_server = judged_by(&judge, Presenter::Server, &chain);
    let as_client = judged_by(&judge, Presenter::Client, &chain);
    assert_eq!(as_server, as_client);
    as_server
}

#[test]
fn certificate_for_the_domain_is_good_and_none_is_absent() {
    assert_eq!(judged(&leaf(&["fp.example"])), Judged::Good);
    let judge = Judge::new(Authority::new("CA").authorities(), false);
    let names = [domain("fp.example")];
    for nothing in [None, Some(&[][..])] {
        let judged = judge.judge(nothing, Presenter::Client, &names, UnixTime::now());
        assert_eq!(judged, Judged::Absent);
    }
}

#[test]
fn dates_are_kept() {
    let mut params = leaf(&["fp.example"]);
    params.not_after = date_time_ymd(2020, 1, 1);
    assert_eq!(judged(&params), Judged::Bad(Fault::Expired));
    let mut params = leaf(&["fp.example"]);
    params.not_before = date_time_ymd(2200, 1, 1);
    assert_eq!(judged(&params), Judged::Bad(Fault::NotYetValid));
}

#[rstest]
#[case::dns_id(vec![dns_name("fp.example")], Judged::Good)]
#[case::dns_id_in_capitals(vec![dns_name("FP.EXAMPLE")], Judged::Good)]
#[case::one_of_many(vec![dns_name("a.example"), srv_name(IA5, "_x.a.example"),
    xmpp_addr(UTF8, "b.example"), dns_name("fp.example")], Judged::Good)]
#[case::srv_id(vec![srv_name(IA5, "_xmpp-server.fp.example")], Judged::Good)]
#[case::xmpp_addr(vec![xmpp_addr(UTF8, "fp.example")], Judged::Good)]
#[case::wildcard(vec![dns_name("*.example")], Judged::Good)]
#[case::other_domain(vec![dns_name("fp2.example")], Judged::Bad(Fault::WrongName))]
#[case::parent(vec![dns_name("example")], Judged::Bad(Fault::WrongName))]
#[case::child(vec![dns_name("conf.fp.example")], Judged::Bad(Fault::WrongName))]
#[case::wildcard_below(vec![dns_name("*.fp.example")], Judged::Bad(Fault::WrongName))]
#[case::srv_id_of_clients(vec![srv_name(IA5, "_xmpp-client.fp.example")],
    Judged::Bad(Fault::WrongName))]
#[case::srv_id_as_utf8(vec![srv_name(UTF8, "_xmpp-server.fp.example")],
    Judged::Bad(Fault::WrongName))]
#[case::xmpp_addr_as_ia5(vec![xmpp_addr(IA5, "fp.example")], Judged::Bad(Fault::WrongName))]
#[case::xmpp_addr_of_a_user(vec![xmpp_addr(UTF8, "u@fp.example")], Judged::Bad(Fault::WrongName))]
#[case::xmpp_addr_of_a_resource(vec![xmpp_addr(UTF8, "fp.example/r")],
    Judged::Bad(Fault::WrongName))]
#[case::xmpp_addr_wildcard(vec![xmpp_addr(UTF8, "*.example")], Judged::Bad(Fault::WrongName))]
#[case::ip_address(vec![vec![0x87, 4, 127, 0, 0, 1]], Judged::Bad(Fault::WrongName))]
fn identity_is_that_of_the_standards(#[case] names: Vec<Vec<u8>>, #[case] expected: Judged) {
    assert_eq!(judged(&leaf_with_names(&names)), expected);
}

#[test]
fn common_name_does_not_count() {
    let mut params = leaf(&[]);
    params
        .distinguished_name
        .push(DnType::CommonName, "fp.example");
    assert_eq!(judged(&params), Judged::Bad(Fault::WrongName));
}

#[test]
fn international_names_are_compared_as_a_labels() {
    let authority = Authority::new("CA");
    let judge = Judge::new(authority.authorities(), false);
    let names = [domain("straße.example")];
    for (san, expected) in [
        (dns_name("xn--strae-oqa.example"), Judged::Good),
        (xmpp_addr(UTF8, "Straße.example"), Judged::Good),
        (dns_name("straße.example"), Judged::Bad(Fault::WrongName)),
    ] {
        let chain = [authority.issue_with(&leaf_with_names(&[san])).der()];
        let judged = judge.judge(Some(&chain), Presenter::Server, &names, UnixTime::now());
        // webpki already finds the last one malformed; the point is that it is not good.
        match expected {
            Judged::Good => assert_eq!(judged, Judged::Good),
            _ => assert!(matches!(judged, Judged::Bad(_))),
        }
    }
}

#[rstest]
#[case::none(&[], Judged::Good, Judged::Good, Judged::Good)]
#[case::both(&[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    Judged::Good, Judged::Good, Judged::Good)]
#[case::server(&[ExtendedKeyUsagePurpose::ServerAuth],
    Judged::Good, Judged::Good, Judged::Bad(Fault::Purpose))]
#[case::client(&[ExtendedKeyUsagePurpose::ClientAuth],
    Judged::Bad(Fault::Purpose), Judged::Good, Judged::Good)]
#[case::email(&[ExtendedKeyUsagePurpose::EmailProtection],
    Judged::Bad(Fault::Purpose), Judged::Bad(Fault::Purpose), Judged::Bad(Fault::Purpose))]
fn purpose_is_minded(
    #[case] purposes: &[ExtendedKeyUsagePurpose],
    #[case] as_server: Judged,
    #[case] as_client: Judged,
    #[case] as_client_with_switch: Judged,
) {
    let authority = Authority::new("CA");
    let mut params = leaf(&["fp.example"]);
    params.extended_key_usages = purposes.to_vec();
    let chain = [authority.issue_with(&params).der()];
    let judge = Judge::new(authority.authorities(), false);
    let strict = Judge::new(authority.authorities(), true);
    assert_eq!(judged_by(&judge, Presenter::Server, &chain), as_server);
    assert_eq!(judged_by(&strict, Presenter::Server, &chain), as_server);
    assert_eq!(judged_by(&judge, Presenter::Client, &chain), as_client);
    assert_eq!(
        judged_by(&strict, Presenter::Client, &chain),
        as_client_with_switch
    );
}

#[test]
fn key_usage_has_to_leave_room_for_tls() {
    for (usage, expected) in [
        (rcgen::KeyUsagePurpose::DigitalSignature, Judged::Good),
        (rcgen::KeyUsagePurpose::CrlSign, Judged::Bad(Fault::Purpose)),
    ] {
        let mut params = leaf(&["fp.example"]);
        params.key_usages = vec![usage];
        assert_eq!(judged(&params), expected);
    }
}

#[test]
fn chain_has_to_reach_a_trusted_authority() {
    let root = Authority::new("CA");
    let judge = Judge::new(root.authorities(), false);
    let intermediate = root.below(Authority::params("Intermediate"));
    let stranger = Authority::new("Other CA");
    let impostor = Authority::new("CA");
    let below = intermediate.issue(&["fp.example"]).der();
    let foreign = stranger.issue(&["fp.example"]).der();
    let forged = impostor.issue(&["fp.example"]).der();
    let own = Leaf::self_signed(&leaf(&["fp.example"])).der();
    let mut ca_params = leaf(&["fp.example"]);
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own_ca = Leaf::self_signed(&ca_params).der();
    let ca_as_leaf = root.issue_with(&ca_params).der();
    let unrelated = Authority::new("Unrelated").der();
    for (chain, expected) in [
        (vec![below.clone(), intermediate.der()], Judged::Good),
        (
            vec![below.clone(), unrelated, root.der(), intermediate.der()],
            Judged::Good,
        ),
        (vec![below], Judged::Bad(Fault::UnknownIssuer)),
        (vec![foreign.clone()], Judged::Bad(Fault::UnknownIssuer)),
        (
            vec![foreign, stranger.der()],
            Judged::Bad(Fault::UnknownIssuer),
        ),
        (vec![own], Judged::Bad(Fault::SelfSigned)),
        (vec![own_ca], Judged::Bad(Fault::SelfSigned)),
        (vec![ca_as_leaf], Judged::Bad(Fault::Constraint)),
        (vec![forged], Judged::Bad(Fault::Signature)),
        (
            vec![CertificateDer::from(vec![0x30, 0])],
            Judged::Bad(Fault::Malformed),
        ),
    ] {
        assert_eq!(judged_by(&judge, Presenter::Server, &chain), expected);
    }
}

#[test]
fn intermediate_has_to_keep_the_rules_too() {
    let root = Authority::new("CA");
    let judge = Judge::new(root.authorities(), false);
    let usual = || Authority::params("Intermediate");
    let mut expired = usual();
    expired.not_after = date_time_ymd(2020, 1, 1);
    let constrained = |permitted: &str| {
        let mut params = usual();
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(permitted.to_owned())],
            excluded_subtrees: Vec::new(),
        });
        params
    };
    let mut no_authority = leaf(&["fp2.example"]);
    no_authority
        .distinguished_name
        .push(DnType::CommonName, "Intermediate");
    for (params, expected) in [
        (usual(), Judged::Good),
        (constrained("example"), Judged::Good),
        (constrained("test"), Judged::Bad(Fault::Constraint)),
        (expired, Judged::Bad(Fault::Expired)),
        (no_authority, Judged::Bad(Fault::Constraint)),
    ] {
        let intermediate = root.below(params);
        let chain = [
            intermediate.issue(&["fp.example"]).der(),
            intermediate.der(),
        ];
        assert_eq!(judged_by(&judge, Presenter::Server, &chain), expected);
    }
}

#[test]
fn critical_extension_that_nobody_knows_is_a_fault() {
    for (critical, expected) in [
        (false, Judged::Good),
        (true, Judged::Bad(Fault::Constraint)),
    ] {
        assert_eq!(judged(&with_extension(critical)), expected);
    }
}

fn with_extension(critical: bool) -> CertificateParams {
    let mut params = leaf(&["fp.example"]);
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
    extension.set_criticality(critical);
    params.custom_extensions.push(extension);
    params
}

/// How a handshake ended at both ends.
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
    PartnerTls::new(own.credentials(), judge, strict).expect("TLS")
}

/// A client that presents the leaf, or nothing, and accepts any server.
fn client(leaf: Option<&Leaf>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .dangerous()
        .with_custom_certificate_verifier(any_server());
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
    let lenient = partner_tls(&authority, &own, false).connector();
    let strict = partner_tls(&authority, &own, true).connector();
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
        &lenient.connector(),
        &serving(certified(&one, &other), version),
        "fp.example",
    );
    assert_eq!(
        ended.client,
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    );
    let mut cheat = (*client(None, version)).clone();
    cheat.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified(&one, &other)));
    let acceptor = lenient.acceptor(ClientCertificate::Requested, &domain("fp.example"));
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
        let acceptor = tls.acceptor(ClientCertificate::Requested, &partner);
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
            assert_eq!(tls.judge(presented, Presenter::Client, &partner), judged);
        }
        let acceptor = tls.acceptor(ClientCertificate::NotRequested, &partner);
        let acceptor = acceptor.expect("TLS");
        let ended = handshake(&client(Some(&wrong), version), &acceptor, "alpha.example");
        assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
        assert_eq!(ended.presented, None);
    }
}

#[test]
fn two_proxies_authenticate_each_other() {
    let authority = Authority::new("CA");
    let alpha = partner_tls(&authority, &authority.issue(&["alpha.example"]), true);
    let beta = partner_tls(&authority, &authority.issue(&["beta.example"]), true);
    let acceptor = beta.acceptor(ClientCertificate::Requested, &domain("alpha.example"));
    let ended = handshake(&alpha.connector(), &acceptor.expect("TLS"), "beta.example");
    assert_eq!((ended.client, ended.server), (Ok(()), Ok(())));
    let judged = beta.judge(
        ended.presented.as_deref(),
        Presenter::Client,
        &domain("alpha.example"),
    );
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
    );
    let acceptor = tls.expect("TLS").acceptor();
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
