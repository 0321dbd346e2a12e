use rstest::rstest;
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::ParsedExtension;
use x509_parser::public_key::PublicKey as Read;

use super::*;
use crate::pki::KeyKind;

fn dates(certificate: &X509Certificate<'_>) -> (Duration, Duration) {
    let validity = certificate.validity();
    let now = authority().now().replace_nanosecond(0).unwrap();
    let since = |at: OffsetDateTime| at - now;
    (
        since(validity.not_before.to_datetime()),
        since(validity.not_after.to_datetime()),
    )
}

fn has(identity: &Identity, id: &str) -> Option<bool> {
    leaf(identity)
        .iter_extensions()
        .find(|extension| extension.oid.to_id_string() == id)
        .map(|extension| extension.critical)
}

#[test]
fn dates_are_relative_to_the_run() {
    let usual = (Duration::days(-1), Duration::days(365));
    assert_eq!(dates(&leaf(&issue_from(""))), usual);
    let identity = issue_from("not-before = \"-3h\"\nnot-after = \"-1h\"");
    assert_eq!(
        dates(&leaf(&identity)),
        (Duration::hours(-3), Duration::hours(-1))
    );
    let identity = issue_from("not-before = \"+1d\"\nnot-after = \"+60000d\"");
    assert_eq!(
        dates(&leaf(&identity)),
        (Duration::days(1), Duration::days(60_000))
    );
    let identity = issue_from("not-before = \"-40000d\"");
    assert_eq!(dates(&leaf(&identity)).0, Duration::days(-40_000));
    let identity = issue_from("intermediate = { not-before = \"-2d\", not-after = \"-1d\" }");
    assert_eq!(dates(&leaf(&identity)), usual);
    assert_eq!(
        dates(&parsed(&identity.chain()[1])),
        (Duration::days(-2), Duration::days(-1))
    );
}

#[rstest]
#[case("p256", "1.2.840.10045.2.1", 256)]
#[case("p384", "1.2.840.10045.2.1", 384)]
#[case("p521", "1.2.840.10045.2.1", 521)]
#[case("ed25519", "1.3.101.112", 0)]
#[case("rsa1024", "1.2.840.113549.1.1.1", 1024)]
#[case("rsa2048", "1.2.840.113549.1.1.1", 2048)]
fn keys_are_of_their_kind(#[case] key: &str, #[case] id: &str, #[case] bits: usize) {
    let identity = issue_from(&format!("key = \"{key}\""));
    let certificate = leaf(&identity);
    let info = certificate.public_key();
    assert_eq!(info.algorithm.algorithm.to_id_string(), id);
    match info.parsed().unwrap() {
        Read::RSA(rsa) => assert_eq!(rsa.key_size(), bits),
        // It counts whole bytes.
        Read::EC(point) => assert_eq!(point.key_size(), bits.next_multiple_of(8)),
        _ => assert_eq!(bits, 0),
    }
    if key != "rsa1024" {
        assert!(identity.certified().keys_match().is_ok());
    }
}

#[rstest]
#[case(r#"["server-auth"]"#, "s")]
#[case(r#"["client-auth"]"#, "c")]
#[case(r#"["server-auth", "client-auth"]"#, "sc")]
#[case(r#"["email-protection"]"#, "e")]
#[case(r#"["any", "code-signing"]"#, "ao")]
fn extended_key_usages_are_those_of_the_list(#[case] list: &str, #[case] expected: &str) {
    let identity = issue_from(&format!("extended-key-usage = {list}"));
    let certificate = leaf(&identity);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    let seen: String = [
        (usage.any, 'a'),
        (usage.server_auth, 's'),
        (usage.client_auth, 'c'),
        (usage.email_protection, 'e'),
        (usage.code_signing, 'o'),
    ]
    .into_iter()
    .filter_map(|(given, letter)| given.then_some(letter))
    .collect();
    assert_eq!(seen, expected);
}

#[rstest]
#[case(r#"["digital-signature"]"#, 0b1)]
#[case(r#"["crl-sign"]"#, 0b100_0000)]
#[case(r#"["key-encipherment", "key-cert-sign"]"#, 0b10_0100)]
#[case(
    r#"["non-repudiation", "data-encipherment", "key-agreement"]"#,
    0b1_1010
)]
fn key_usages_are_those_of_the_list(#[case] list: &str, #[case] flags: u16) {
    let identity = issue_from(&format!("key-usage = {list}"));
    let certificate = leaf(&identity);
    assert_eq!(certificate.key_usage().unwrap().unwrap().value.flags, flags);
    assert_eq!(has(&identity, "2.5.29.15"), Some(true));
}

#[test]
fn an_empty_list_of_usages_leaves_the_extension_out() {
    let identity = issue_from("key-usage = []\nextended-key-usage = []");
    assert_eq!(has(&identity, "2.5.29.15"), None);
    assert_eq!(has(&identity, "2.5.29.37"), None);
    assert_eq!(
        judged("key-usage = []\nextended-key-usage = []", Side::Server),
        "good"
    );
}

#[test]
fn extensions_are_there_only_when_asked_for() {
    const CONSTRAINTS: &str = "2.5.29.19";
    const FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    const UNKNOWN: &str = "2.25.4886718346";
    for (toml, id, critical) in [
        ("ca = true", CONSTRAINTS, true),
        ("must-staple = true", FEATURE, false),
        ("unknown-critical-extension = true", UNKNOWN, true),
        ("padding = 100000", "2.25.4886718347", false),
    ] {
        assert_eq!(has(&issue_from(toml), id), Some(critical), "{toml}");
        assert_eq!(has(&issue_from(""), id), None, "{toml}");
    }
    let identity = issue_from("ca = true");
    assert!(leaf(&identity).is_ca());
    let identity = issue_from("must-staple = true");
    let certificate = leaf(&identity);
    let feature = certificate
        .iter_extensions()
        .find(|extension| extension.oid.to_id_string() == FEATURE)
        .unwrap();
    assert_eq!(feature.value, [0x30, 3, 2, 1, 5]);
    assert!(!matches!(
        feature.parsed_extension(),
        ParsedExtension::ParseError { .. }
    ));
    assert!(issue_from("padding = 1000000").chain()[0].len() > 1_000_000);
    assert_eq!(judged("padding = 10000", Side::Client), "good");
}

#[rstest]
#[case("sha1", "1.2.840.113549.1.1.5")]
#[case("md5", "1.2.840.113549.1.1.4")]
fn weak_signatures_name_their_algorithm(
    #[case] signature: &str,
    #[case] id: &str,
    #[values(
        "issuer = \"lab\"",
        "issuer = \"leaf-of-another\"",
        "key = \"rsa2048\"\nissuer = \"self\"",
        "intermediate = { key = \"rsa1024\" }"
    )]
    issuer: &str,
) {
    let identity = issue_from(&format!("signature = \"{signature}\"\n{issuer}"));
    let certificate = leaf(&identity);
    assert_eq!(certificate.signature_algorithm.oid().to_id_string(), id);
    assert_eq!(certificate.signature.oid().to_id_string(), id);
}

#[test]
fn a_weak_signature_is_a_right_one() {
    use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};

    let identity = issue_from("signature = \"sha1\"");
    let certificate = leaf(&identity);
    let issuer = parsed(&identity.chain()[1]);
    UnparsedPublicKey::new(
        &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        issuer.public_key().raw,
    )
    .verify(
        certificate.tbs_certificate.as_ref(),
        &certificate.signature_value.data,
    )
    .unwrap();
}

#[test]
fn a_broken_signature_differs_in_one_bit() {
    // Ed25519 gives the same signature each time; the serial number follows from the specification.
    let identity = issue_from("signature = \"broken\"\nissuer = \"self\"\nkey = \"ed25519\"");
    let certificate = leaf(&identity);
    assert!(certificate.verify_signature(None).is_err());
    let mut mended = identity.chain()[0].to_vec();
    *mended.last_mut().unwrap() ^= 1;
    let key = authority()
        .keys()
        .key(KeyKind::Ed25519, crate::pki::key::Owner::Leaf);
    let certificate = parsed(&mended);
    let again = key
        .pair
        .sign(
            certificate.tbs_certificate.as_ref(),
            crate::pki::weak::Hash::Sha256,
        )
        .unwrap();
    assert_eq!(certificate.signature_value.data, again);
}

#[rstest]
#[case("composite-field", "1.2.840.10045.2.1")]
#[case("explicit-curve", "1.2.840.10045.2.1")]
#[case("huge-rsa", "1.2.840.113549.1.1.1")]
#[case("off-curve", "1.2.840.10045.2.1")]
#[case("unknown-curve", "1.2.840.10045.2.1")]
#[case("zero-rsa", "1.2.840.113549.1.1.1")]
fn odd_public_keys_are_shown_and_the_usual_one_signs(#[case] key: &str, #[case] id: &str) {
    let identity = issue_from(&format!("public-key = \"{key}\""));
    let certificate = leaf(&identity);
    let info = certificate.public_key();
    assert_eq!(info.algorithm.algorithm.to_id_string(), id);
    assert_ne!(info.raw, leaf(&issue_from("")).public_key().raw);
    assert_eq!(identity.key(), issue_from("").key());
    if key == "huge-rsa" {
        let Read::RSA(rsa) = info.parsed().unwrap() else {
            panic!("not RSA");
        };
        assert_eq!(rsa.key_size(), 131_072);
    }
}

#[test]
fn malformed_certificates_cannot_be_read() {
    for how in ["empty", "huge-length", "random", "truncated"] {
        let identity = issue_from(&format!("malformed = \"{how}\""));
        assert!(
            X509Certificate::from_der(&identity.chain()[0]).is_err(),
            "{how}"
        );
        assert_eq!(identity.chain().len(), 2);
        assert_eq!(
            judged(&format!("malformed = \"{how}\""), Side::Server),
            "no readable certificate"
        );
    }
    let identity = issue_from("malformed = \"trailing\"");
    let (rest, _) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
    assert_eq!(rest, b"trailing");
    assert_eq!(
        issue_from("malformed = \"random\"").chain()[0],
        issue_from("malformed = \"random\"").chain()[0]
    );
}

#[test]
fn the_same_recipe_has_the_same_serial_number() {
    let serial = |toml: &str| leaf(&issue_from(toml)).raw_serial().to_vec();
    let toml = r#"names = [{dns="{domain}"}]"#;
    assert_eq!(serial(toml), serial(toml));
    assert_ne!(serial(toml), serial(""));
    let elsewhere = authority()
        .issue_from(&spec(toml), &|_| "other.example".to_owned())
        .unwrap();
    assert_ne!(serial(toml), leaf(&elsewhere).raw_serial());
}

#[test]
fn an_empty_subject_makes_the_alternative_names_critical() {
    let usual = issue_from("");
    assert!(!leaf(&usual).subject().as_raw().is_empty());
    let alternative = |identity: &Identity| {
        let leaf = leaf(identity);
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        (leaf.subject().iter().count(), names.critical)
    };
    assert_eq!(alternative(&usual), (2, false));
    assert_eq!(alternative(&issue_from("empty-subject = true")), (0, true));
}

#[test]
fn purposes_of_authorities_are_in_each_of_them() {
    let purposes = |toml: &str| -> Vec<bool> {
        let identity = issue_from(toml);
        let above = identity.chain()[1..].iter().map(|der| parsed(der));
        let usage = above.map(|one| {
            let usage = one.extended_key_usage().unwrap();
            usage.is_some_and(|usage| usage.value.server_auth)
        });
        usage.collect()
    };
    assert_eq!(purposes("intermediate = {authorities = 2}"), [false; 2]);
    let limited = "intermediate = {authorities = 2, extended-key-usage = ['server-auth']}";
    assert_eq!(purposes(limited), [true; 2]);
}

#[test]
fn a_cross_signed_root_has_the_name_and_key_of_the_root() {
    for sent in ["cross-signed-root", "expired-cross-signed-root"] {
        let identity = issue_from(&format!("sent = ['leaf', 'root', '{sent}']"));
        let chain: Vec<_> = identity.chain().iter().map(|der| parsed(der)).collect();
        assert_eq!(chain[2].subject(), chain[1].subject());
        assert_eq!(chain[2].public_key(), chain[1].public_key());
        assert_ne!(chain[2].issuer(), chain[1].issuer());
    }
}
