use rstest::rstest;

use super::*;

/// webpki's verdict, compared with an accepted neighbour.
#[rstest]
#[case("", "good")]
#[case("names = [{dns='{domain}'}]", "good")]
#[case("names = [{srv='_xmpp-server.{domain}'}]", "good")]
#[case("names = [{xmpp='{domain}'}]", "good")]
#[case(
    "names = [{xmpp='user@{domain}'}]",
    "for user@fp.example, not for fp.example"
)]
#[case(
    "names = [{srv='_http.{domain}'}]",
    "for _http.fp.example, not for fp.example"
)]
#[case("names = [{dns='FP.example'}]", "good")]
#[case("names = [{dns='x{domain}'}]", "for xfp.example, not for fp.example")]
#[case(
    "names = [{ip='127.0.0.1'}, {uri='xmpp:{domain}'}]",
    "no name of a server"
)]
#[case("not-after = '+1h'", "good")]
#[case("not-after = '-1h'", "expired")]
#[case("not-before = '-1h'", "good")]
#[case("not-before = '+1h'", "not yet valid")]
#[case("intermediate = {not-before = '-3d', not-after = '+1d'}", "good")]
#[case("intermediate = {not-before = '-3d', not-after = '-1d'}", "expired")]
#[case("key = 'p384'", "good")]
#[case("key = 'p521'", "good")]
#[case("key = 'rsa1024'", "good")]
#[case("intermediate = {key = 'rsa2048'}", "good")]
#[case(
    "intermediate = {key = 'rsa2048'}\nsignature = 'sha1'",
    "UnsupportedSignatureAlgorithm"
)]
#[case("signature = 'md5'", "UnsupportedSignatureAlgorithm")]
#[case("signature = 'broken'", "wrong signature in the chain")]
#[case("must-staple = true", "good")]
#[case("unknown-critical-extension = true", "UnsupportedCriticalExtension")]
#[case("key-usage = ['digital-signature']", "good")]
#[case(
    "extended-key-usage = ['email-protection']",
    "extended key usage does not fit"
)]
#[case(
    "extended-key-usage = ['client-auth']",
    "extended key usage does not fit"
)]
#[case("ca = true", "an authority's own")]
#[case("issuer = 'untrusted'", "unknown issuer")]
#[case(
    "issuer = 'untrusted'\nsent = ['leaf', 'intermediates', 'root']",
    "unknown issuer"
)]
#[case("issuer = 'untrusted'\nsent = ['leaf', 'cross-signed']", "good")]
#[case("issuer = 'self'", "self-signed")]
#[case("issuer = 'impostor'", "wrong signature in the chain")]
#[case(
    "issuer = 'impostor'\nsent = ['leaf', 'intermediates', 'root']",
    "wrong signature in the chain"
)]
#[case("issuer = 'leaf-of-another'", "EndEntityUsedAsCa")]
#[case("sent = ['leaf']", "unknown issuer")]
#[case(
    "sent = ['leaf', 'root', 'unrelated', 'intermediates', 'intermediates', 'leaf']",
    "good"
)]
#[case("sent = ['leaf', 'expired-intermediate', 'intermediates']", "good")]
#[case("sent = ['leaf', 'expired-intermediate']", "expired")]
#[case("sent = ['leaf', 'cross-signed', 'intermediates']", "good")]
#[case("sent = ['leaf', 'cross-signed']", "unknown issuer")]
#[case("sent = ['leaf', 'intermediates', 'cross-signed-root']", "good")]
#[case(
    "sent = ['leaf', 'intermediates', 'expired-cross-signed-root']",
    "good"
)]
#[case(
    "issuer = 'untrusted'\nsent = ['leaf', 'intermediates', 'cross-signed-root']",
    "good"
)]
#[case(
    "issuer = 'untrusted'\nsent = ['leaf', 'intermediates', 'expired-cross-signed-root']",
    "expired"
)]
#[case("empty-subject = true", "good")]
#[case("intermediate = {extended-key-usage = ['server-auth']}", "good")]
#[case(
    "intermediate = {authorities = 2, extended-key-usage = ['email-protection']}",
    "extended key usage does not fit"
)]
#[case("intermediate = {authorities = 2}", "good")]
#[case("intermediate = {authorities = 2, path-length = 1}", "good")]
#[case(
    "intermediate = {authorities = 2, path-length = 0}",
    "PathLenConstraintViolated"
)]
#[case("intermediate = {authorities = 100}", "MaximumPathDepthExceeded")]
#[case("intermediate = {permitted = ['{domain}']}", "good")]
#[case(
    "intermediate = {permitted = ['other.example']}",
    "NameConstraintViolation"
)]
#[case("intermediate = {excluded = ['other.example']}", "good")]
#[case("intermediate = {excluded = ['{domain}']}", "NameConstraintViolation")]
fn a_strict_peer_takes_and_refuses(#[case] toml: &str, #[case] verdict: &str) {
    let told = judged(toml, Side::Server);
    assert!(told.contains(verdict), "{told}");
    assert_eq!(told == "good", verdict == "good");
}

#[test]
fn what_is_sent_is_sent_in_that_order() {
    let usual = issue_from("");
    assert_eq!(usual.chain().len(), 2);
    assert!(!leaf(&usual).is_ca());

    let identity = issue_from("sent = ['root', 'intermediates', 'leaf', 'leaf', 'unrelated']");
    let chain: Vec<_> = identity.chain().iter().map(|der| parsed(der)).collect();
    assert_eq!(chain.len(), 5);
    assert_eq!(chain[0].subject(), chain[0].issuer());
    assert_eq!(chain[1].issuer(), chain[0].subject());
    assert_eq!(chain[2].issuer(), chain[1].subject());
    assert_eq!(identity.chain()[2], identity.chain()[3]);
    assert_eq!(chain[4].subject(), chain[4].issuer());
    assert_ne!(chain[4].subject(), chain[0].subject());
}

#[test]
fn a_long_chain_is_linked_from_leaf_to_root() {
    let identity =
        issue_from("intermediate = {authorities = 5}\nsent = ['leaf', 'intermediates', 'root']");
    let chain: Vec<_> = identity.chain().iter().map(|der| parsed(der)).collect();
    assert_eq!(chain.len(), 7);
    for pair in chain.windows(2) {
        assert_eq!(pair[0].issuer(), pair[1].subject());
        pair[0]
            .verify_signature(Some(pair[1].public_key()))
            .unwrap();
    }
    assert_eq!(
        issue_from("intermediate = {authorities = 200}")
            .chain()
            .len(),
        201
    );
}

#[test]
fn an_impostor_has_the_names_and_key_identifiers_of_the_lab() {
    const ALL: &str = "sent = ['leaf', 'intermediates', 'root']";
    let real = issue_from(ALL);
    let fake = issue_from(&format!("issuer = 'impostor'\n{ALL}"));
    let key_id = |certificate: &X509Certificate<'_>| {
        certificate
            .iter_extensions()
            .find(|extension| extension.oid.to_id_string() == "2.5.29.14")
            .map(|extension| extension.value.to_vec())
    };
    for (real, fake) in real.chain().iter().zip(fake.chain()).skip(1) {
        let (real, fake) = (parsed(real), parsed(fake));
        assert_eq!(real.subject(), fake.subject());
        assert_eq!(real.issuer(), fake.issuer());
        assert_eq!(key_id(&real), key_id(&fake));
        assert!(key_id(&real).is_some());
        assert_ne!(real.public_key().raw, fake.public_key().raw);
    }
}

#[test]
fn a_leaf_that_signs_is_good_itself() {
    let identity = issue_from("issuer = 'leaf-of-another'");
    let chain: Vec<_> = identity.chain().iter().map(|der| parsed(der)).collect();
    assert_eq!(chain.len(), 3);
    assert!(!chain[1].is_ca());
    assert_ne!(chain[0].public_key().raw, chain[1].public_key().raw);
    assert_eq!(chain[0].issuer(), chain[1].subject());
    chain[0]
        .verify_signature(Some(chain[1].public_key()))
        .unwrap();
    chain[1]
        .verify_signature(Some(chain[2].public_key()))
        .unwrap();
}

#[test]
fn intermediates_of_different_recipes_cannot_be_mistaken_for_each_other() {
    let (one, other) = (
        issue_from("intermediate = {permitted = ['a.example']}"),
        issue_from("intermediate = {permitted = ['b.example']}"),
    );
    let (one, other) = (parsed(&one.chain()[1]), parsed(&other.chain()[1]));
    assert_ne!(one.subject(), other.subject());
    assert_ne!(one.public_key().raw, other.public_key().raw);
    assert_ne!(one.raw_serial(), other.raw_serial());
    let constraints = one.name_constraints().unwrap().unwrap().value;
    assert_eq!(constraints.permitted_subtrees.as_ref().unwrap().len(), 1);
    assert!(constraints.excluded_subtrees.is_none());
}

#[test]
fn a_stolen_chain_is_shown_with_another_key_of_its_kind() {
    for key in ["p256", "p384", "p521", "ed25519", "rsa2048"] {
        let theirs = issue_from(&format!("key = '{key}'"));
        let identity = authority()
            .issue_from(&spec("stolen = '{target-chain}'"), &|text| {
                text.replace("{target-chain}", &theirs.chain_pem())
            })
            .unwrap();
        assert_eq!(identity.chain(), theirs.chain());
        assert_ne!(identity.key(), theirs.key());
        let algorithm = |identity: &Identity| identity.certified().key.algorithm();
        assert_eq!(algorithm(&identity), algorithm(&theirs));
    }
    assert_eq!(why_not("stolen = 'x'"), SpecError::NothingStolen);
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        why_not(&format!("stolen = '''{nonsense}'''")),
        SpecError::NothingStolen
    );
}

#[test]
fn recipes_are_cooked_below_a_given_root_too() {
    let first = Authority::new(1);
    let (root, key) = (first.root_pem(), first.root_key_pem().unwrap());
    let again = Authority::from_pem(2, &root, &key).unwrap();
    let seen = |toml: &str| {
        let identity = again.issue_from(&spec(toml), &fill).unwrap();
        judge(identity.chain(), Side::Server, DOMAIN, &first.roots())
    };
    assert_eq!(seen(""), CertificateSeen::Good);
    assert_eq!(
        seen("intermediate = {authorities = 2}"),
        CertificateSeen::Good
    );
    assert_ne!(seen("issuer = 'impostor'"), CertificateSeen::Good);
}
