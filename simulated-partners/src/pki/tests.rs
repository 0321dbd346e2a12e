use std::sync::Arc;

use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, Side};
use x509_parser::asn1_rs::{Any, FromDer, Ia5String, Tag, Utf8String};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::*;
use crate::event::CertificateSeen;
use crate::persona::{Certificate, Key};
use crate::tls::judge;

const NAME: &str = "a.example";

fn authority() -> &'static Authority {
    static AUTHORITY: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(1))
}

fn issue(kind: Certificate) -> Arc<Identity> {
    authority().issue(&[NAME], kind, Key::P256).unwrap()
}

fn parse(identity: &Identity) -> X509Certificate<'_> {
    X509Certificate::from_der(&identity.chain()[0]).unwrap().1
}

fn extended_key_usage(certificate: &X509Certificate<'_>) -> (bool, bool) {
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    (usage.server_auth, usage.client_auth)
}

fn good() -> CertificateSeen {
    CertificateSeen::Good
}

fn bad(why: &str) -> CertificateSeen {
    CertificateSeen::Bad(why.into())
}

#[rstest]
#[case(Certificate::Good, good(), good())]
#[case(Certificate::Expired, bad("expired"), bad("expired"))]
#[case(
    Certificate::WrongName,
    bad("for somebody-else.example, not for a.example"),
    bad("for somebody-else.example, not for a.example")
)]
#[case(Certificate::SelfSigned, bad("self-signed"), bad("self-signed"))]
#[case(Certificate::UnknownCa, bad("unknown issuer"), bad("unknown issuer"))]
#[case(Certificate::NoClientAuth, good(), good())]
#[case(
    Certificate::MissingIntermediate,
    bad("unknown issuer"),
    bad("unknown issuer")
)]
fn each_kind_is_wrong_in_its_one_point(
    #[case] kind: Certificate,
    #[case] as_server: CertificateSeen,
    #[case] as_client: CertificateSeen,
    #[values(Key::P256, Key::Rsa2048, Key::Ed25519)] key: Key,
) {
    let identity = authority().issue(&[NAME], kind, key).unwrap();
    let roots = authority().roots();
    let judged = |side| judge(identity.chain(), side, NAME, &roots);
    assert_eq!(judged(Side::Server), as_server);
    assert_eq!(judged(Side::Client), as_client);
}

#[test]
fn none_is_none() {
    assert!(
        authority()
            .issue(&[NAME], Certificate::None, Key::P256)
            .is_none()
    );
}

#[test]
fn a_client_with_a_certificate_for_servers_is_refused_by_the_strict() {
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        authority().roots(),
        Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    )
    .build()
    .unwrap();
    let verify = |kind| {
        let identity = issue(kind);
        let chain = identity.chain();
        verifier.verify_client_cert(&chain[0], &chain[1..], unix_time())
    };
    assert!(verify(Certificate::Good).is_ok());
    assert!(matches!(
        verify(Certificate::NoClientAuth),
        Err(Error::InvalidCertificate(
            CertificateError::InvalidPurposeContext { .. }
        ))
    ));
}

#[test]
fn key_usages_differ_only_without_client_auth() {
    let good = issue(Certificate::Good);
    assert_eq!(extended_key_usage(&parse(&good)), (true, true));
    let server_only = issue(Certificate::NoClientAuth);
    assert_eq!(extended_key_usage(&parse(&server_only)), (true, false));
}

/// The alternative names of a certificate, with checked string types.
fn names_in(certificate: &X509Certificate<'_>) -> Vec<String> {
    let san = certificate.subject_alternative_name().unwrap().unwrap();
    assert!(!san.critical);
    let mut seen = Vec::new();
    for name in &san.value.general_names {
        match name {
            GeneralName::DNSName(name) => seen.push(format!("dns {name}")),
            GeneralName::OtherName(id, value) => {
                let (_, tagged) = Any::from_der(value).unwrap();
                assert_eq!(tagged.tag(), Tag(0));
                let text = match id.to_id_string().as_str() {
                    "1.3.6.1.5.5.7.8.5" => Utf8String::from_der(tagged.data).unwrap().1.string(),
                    "1.3.6.1.5.5.7.8.7" => Ia5String::from_der(tagged.data).unwrap().1.string(),
                    other => panic!("unexpected {other}"),
                };
                seen.push(text);
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    seen
}

#[test]
fn names_are_in_three_forms_with_the_right_string_types() {
    let identity = authority()
        .issue(&[NAME, "b.example"], Certificate::Good, Key::P256)
        .unwrap();
    let certificate = parse(&identity);
    assert_eq!(
        names_in(&certificate),
        [
            "dns a.example",
            "a.example",
            "_xmpp-server.a.example",
            "dns b.example",
            "b.example",
            "_xmpp-server.b.example",
        ]
    );
    let count = certificate
        .extensions()
        .iter()
        .filter(|extension| {
            matches!(
                extension.parsed_extension(),
                ParsedExtension::SubjectAlternativeName(_)
            )
        })
        .count();
    assert_eq!(count, 1);
}

#[test]
fn an_authority_leaves_out_the_names_that_a_target_cannot_read() {
    let identity = Authority::new(1)
        .naming(NameForms::WithoutXmppAddr)
        .issue(&[NAME], Certificate::Good, Key::P256)
        .unwrap();
    assert_eq!(
        names_in(&parse(&identity)),
        ["dns a.example", "_xmpp-server.a.example"]
    );
}

#[test]
fn a_wildcard_is_a_dns_name_alone() {
    let issued = Authority::new(1).issue(&["*.a.example", NAME], Certificate::Good, Key::P256);
    assert_eq!(
        names_in(&parse(&issued.unwrap())),
        [
            "dns *.a.example",
            "dns a.example",
            "a.example",
            "_xmpp-server.a.example"
        ]
    );
}

#[test]
fn webpki_finds_the_dns_name() {
    let identity = issue(Certificate::Good);
    let parsed = ParsedCertificate::try_from(&identity.chain()[0]).unwrap();
    let verify = |name: &'static str| {
        rustls::client::verify_server_name(&parsed, &ServerName::try_from(name).unwrap())
    };
    assert!(verify("a.example").is_ok());
    assert!(verify("b.example").is_err());
}

#[test]
fn dates_and_chains_are_as_the_kind_says() {
    let now = time::OffsetDateTime::from(system_time()).unix_timestamp();
    for (kind, length, current) in [
        (Certificate::Good, 2, true),
        (Certificate::Expired, 2, false),
        (Certificate::UnknownCa, 2, true),
        (Certificate::SelfSigned, 1, true),
        (Certificate::MissingIntermediate, 1, true),
    ] {
        let identity = issue(kind);
        let certificate = parse(&identity);
        let validity = certificate.validity();
        assert_eq!(identity.chain().len(), length, "{kind:?}");
        assert!(validity.not_before.timestamp() < now);
        assert_eq!(validity.not_after.timestamp() > now, current, "{kind:?}");
        let self_issued = certificate.subject() == certificate.issuer();
        assert_eq!(self_issued, kind == Certificate::SelfSigned, "{kind:?}");
    }
}

#[test]
fn serial_numbers_follow_from_the_seed() {
    let serial = |authority: &Authority, name: &str| {
        let identity = authority
            .issue(&[name], Certificate::Good, Key::P256)
            .unwrap();
        let number = parse(&identity).raw_serial().to_vec();
        assert!(number.len() == 16 && number[0] & 0x80 == 0);
        number
    };
    let (one, same, other) = (Authority::new(5), Authority::new(5), Authority::new(6));
    assert_eq!(serial(&one, NAME), serial(&same, NAME));
    assert_ne!(serial(&one, NAME), serial(&one, "b.example"));
    assert_ne!(serial(&one, NAME), serial(&other, NAME));
}

#[test]
fn long_and_strange_names_are_no_reason_to_panic() {
    let long = format!("{}.example", ["x".repeat(63).as_str(); 3].join("."));
    for name in [long.as_str(), "", "ä.example", "*.example", "a\0b"] {
        let identity = authority()
            .issue(&[name], Certificate::Good, Key::P256)
            .unwrap();
        assert!(!identity.chain().is_empty());
    }
    assert!(
        authority()
            .issue(&[], Certificate::Good, Key::P256)
            .is_some()
    );
    let identity = authority()
        .issue(&[&long], Certificate::Good, Key::P256)
        .unwrap();
    let seen = judge(identity.chain(), Side::Server, &long, &authority().roots());
    assert_eq!(seen, CertificateSeen::Good);
}

#[rstest]
fn pem_is_read_back(#[values(Key::P256, Key::Rsa2048, Key::Ed25519)] key: Key) {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let identity = authority().issue(&[NAME], Certificate::Good, key).unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.chain_pem().as_bytes())
        .map(Result::unwrap)
        .collect();
    assert_eq!(chain, identity.chain());
    let read = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
    assert_eq!(&read, identity.key());
    // Version 1, which all libraries read (RFC 5208 §5): SEQUENCE { INTEGER 0, …
    let PrivateKeyDer::Pkcs8(document) = &read else {
        panic!("not PKCS#8");
    };
    let (_, document) = Any::from_der(document.secret_pkcs8_der()).unwrap();
    assert_eq!(document.data[..3], [2, 1, 0]);
    assert!(identity.certified().keys_match().is_ok());
    let root = CertificateDer::from_pem_slice(authority().root_pem().as_bytes()).unwrap();
    assert!(X509Certificate::from_der(&root).unwrap().1.is_ca());
}

#[test]
fn an_authority_can_be_read_back_and_issues_what_is_good_for_the_same_root() {
    let first = Authority::new(1);
    let (root, key) = (first.root_pem(), first.root_key_pem().unwrap());
    let again = Authority::from_pem(2, &root, &key).unwrap();
    assert_eq!(again.root_pem(), root);
    assert_eq!(again.root_key_pem(), None);
    let identity = again.issue(&[NAME], Certificate::Good, Key::P256).unwrap();
    let seen = judge(identity.chain(), Side::Server, NAME, &first.roots());
    assert_eq!(seen, good());
    let elsewhere = Authority::new(1);
    let seen = judge(identity.chain(), Side::Server, NAME, &elsewhere.roots());
    assert_ne!(seen, good());
}

#[test]
fn what_is_no_authority_is_refused_with_the_reason() {
    let one = Authority::new(1);
    let (root, key) = (one.root_pem(), one.root_key_pem().unwrap());
    let leaf = one.issue(&[NAME], Certificate::Good, Key::P256).unwrap();
    let why = |certificate: &str, key: &str| Authority::from_pem(1, certificate, key).err();
    assert_eq!(why("", &key), Some(BadAuthority::NoCertificate));
    assert_eq!(why(&root, ""), Some(BadAuthority::NoKey));
    assert_eq!(
        why(&leaf.chain_pem(), &leaf.key_pem()),
        Some(BadAuthority::NoAuthority)
    );
    let other = Authority::new(1).root_key_pem().unwrap();
    assert_eq!(why(&root, &other), Some(BadAuthority::OtherKey));
    // The lab's intermediate has a path length of 0.
    let chain = leaf.chain_pem();
    let intermediate = &chain[chain.rfind("-----BEGIN").unwrap()..];
    assert_eq!(why(intermediate, &key), Some(BadAuthority::NoIntermediate));
}

#[test]
fn another_authority_can_be_trusted_in_addition() {
    let mut one = Authority::new(1);
    let other = Authority::new(2);
    let identity = other.issue(&[NAME], Certificate::Good, Key::P256).unwrap();
    let seen = |one: &Authority| judge(identity.chain(), Side::Server, NAME, &one.roots());
    assert_ne!(seen(&one), good());
    one.trust(&other.root_pem()).unwrap();
    assert_eq!(seen(&one), good());
    assert_eq!(one.trust("nothing"), Err(BadAuthority::NoCertificate));
}
