//! `csr`: key and request.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use simulated_partners::persona::Certificate;
use simulated_partners::pki::Authority;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::Place;
use super::certificate::put;

/// What is in a request: its subject, names, purposes and key.
fn read(place: &Place, name: &str) -> String {
    let text = place.text(name);
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("it is PEM");
    assert_eq!(pem.label, "CERTIFICATE REQUEST");
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).expect("a request");
    request.verify_signature().expect("it is signed by its key");
    let info = &request.certification_request_info;
    let mut lines = vec![format!("subject: {}", info.subject)];
    for extension in request.requested_extensions().expect("there are some") {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                let names = names.general_names.iter().map(ToString::to_string);
                lines.push(format!("names: {}", names.collect::<Vec<_>>().join(", ")));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let (server, client) = (usage.server_auth, usage.client_auth);
                lines.push(format!("server: {server}, client: {client}"));
            }
            _ => {}
        }
    }
    let key = info.subject_pki.parsed().expect("a known key");
    lines.push(match key {
        PublicKey::RSA(key) => format!("RSA {}", key.key_size()),
        PublicKey::EC(key) => format!("EC {}", key.key_size()),
        other => format!("{other:?}"),
    });
    lines.join("\n")
}

#[test]
fn the_request_names_the_served_domains_and_both_purposes() {
    let place = Place::new();
    let done = place.good(&["csr"]);
    insta::assert_snapshot!(done.out, @r"
    Subject                        : CN=contoso.com
    SubjectAlternativeNames        : contoso.com, chat.contoso.com
    Purposes                       : server, client
    KeyType                        : rsa-2048
    Key                            : external.key
    Request                        : external.csr
    ");
    insta::assert_snapshot!(read(&place, "external.csr"), @r"
    subject: CN=contoso.com
    names: DNSName(contoso.com), DNSName(chat.contoso.com)
    server: true, client: true
    RSA 2048
    ");
    let mode = fs::metadata(place.path("external.key"))
        .expect("it is there")
        .mode();
    assert_eq!(mode & 0o7777, 0o600, "the key is for its owner only");
    assert!(
        place
            .text("external.key")
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
}

#[test]
fn subject_names_and_key_are_as_asked() {
    let place = Place::new();
    place.good(&[
        "csr",
        "--domain",
        "contoso.com",
        "--sip",
        "--san",
        "xmpp.contoso.com",
        "--san",
        "contoso.com",
        "--key-type",
        "ecdsa-p384",
        "--organization",
        "Contoso Ltd",
        "--organizational-unit",
        "IT",
        "--locality",
        "Köln",
        "--state",
        "NRW",
        "--country",
        "de",
        "--common-name",
        "sip.contoso.com",
        "--key",
        "new.key",
        "--out",
        "new.pem",
    ]);
    insta::assert_snapshot!(read(&place, "new.pem"), @r"
    subject: C=DE, ST=NRW, L=Köln, O=Contoso Ltd, OU=IT, CN=sip.contoso.com
    names: DNSName(contoso.com), DNSName(sip.contoso.com), DNSName(xmpp.contoso.com)
    server: true, client: true
    EC 384
    ");
    place.good(&["csr", "--internal", "--san", "proxy.contoso.com"]);
    assert!(read(&place, "internal.csr").contains("names: DNSName(proxy.contoso.com)\n"));
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let place = Place::new();
    fs::write(place.path("external.key"), "mine").expect("it has room");
    let done = place.refused(&["csr", "--key-type", "ecdsa-p256"], 2);
    assert!(
        done.err.contains("external.key is there already"),
        "{}",
        done.err
    );
    assert_eq!(place.text("external.key"), "mine");
    assert!(!place.path("external.csr").exists());
    // Nor is the key left where only the request is in the way.
    fs::write(place.path("external.csr"), "mine").expect("it has room");
    place.refused(
        &[
            "csr",
            "--key-type",
            "ecdsa-p256",
            "--key",
            "new.key",
            "--out",
            "external.csr",
        ],
        2,
    );
    assert!(!place.path("new.key").exists());
    place.good(&["csr", "--key-type", "ecdsa-p256", "--force"]);
    assert!(read(&place, "external.csr").contains("EC 256"));
}

#[test]
fn the_key_of_a_certificate_in_use_is_never_written_over() {
    let (place, authority) = (Place::new(), Authority::new(1));
    let domains = ["contoso.com", "chat.contoso.com"];
    put(&place, &authority, &domains, Certificate::Good, "external");
    let key = place.text("external.key");
    let renewed = ["csr", "--key-type", "ecdsa-p256", "--force"];
    let done = place.refused(&renewed, 2);
    assert!(
        done.err
            .contains("external.key is the key of a certificate in use"),
        "{}",
        done.err
    );
    assert!(done.err.contains("--key"), "{}", done.err);
    assert_eq!(place.text("external.key"), key);
    place.good(&[&renewed[..], &["--key", "next.key"]].concat());
    // One that fits no certificate is of no use.
    put(
        &place,
        &Authority::new(2),
        &domains,
        Certificate::Good,
        "other",
    );
    fs::copy(place.path("other.key"), place.path("external.key")).expect("it is there");
    place.good(&renewed);
}

#[test]
fn values_that_make_no_sense_are_named_with_what_would() {
    let place = Place::new();
    for (arguments, parts) in [
        (
            &["--domain", "other.example"][..],
            ["`other.example`", "contoso.com, chat.contoso.com"],
        ),
        (&["--san", "a b"], ["'a b'", "not a valid domain"]),
        (&["--key-type", "rsa-1024"], ["'rsa-1024'", "rsa-2048"]),
        (&["--country", "Germany"], ["'Germany'", "two letters"]),
        (&["--internal"], ["--san", "required"]),
        (
            &["--key", "no/such/folder.key"],
            ["no/such/folder.key", "No such file"],
        ),
    ] {
        let done = place.run(&[&["csr"], arguments].concat());
        assert!(matches!(done.code, Some(2 | 3)), "{}", done.err);
        for part in parts {
            assert!(done.err.contains(part), "{part} is missing: {}", done.err);
        }
    }
}

#[test]
fn a_subject_is_text_on_one_line() {
    let place = Place::new();
    for wrong in ["", "a\nb", "a\u{1}b"] {
        let csr = ["csr", "--key", "new.key", "--organization", wrong];
        let done = place.refused(&csr, 2);
        assert!(done.err.contains("a text on one line"), "{}", done.err);
        assert!(!place.path("new.key").exists());
    }
}
