use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, NameConstraints,
    date_time_ymd,
};
use rstest::rstest;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{domain, with_extension};
use crate::certificate::fixture::{
    Authority, IA5, Leaf, UTF8, dns_name, leaf, leaf_with_names, srv_name, xmpp_addr,
};
use crate::certificate::judge::Presenter;
use crate::certificate::{Fault, Judge, Judged};

fn judged_by(judge: &Judge, presenter: Presenter, chain: &[CertificateDer<'_>]) -> Judged {
    let names = [domain("fp.example")];
    judge.judge(Some(chain), &[], presenter, &names, UnixTime::now())
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
        let judged = judge.judge(nothing, &[], Presenter::Client, &names, UnixTime::now());
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
        let judged = judge.judge(
            Some(&chain),
            &[],
            Presenter::Server,
            &names,
            UnixTime::now(),
        );
        // webpki already considers the last one malformed; what matters is that it is not accepted.
        match expected {
            Judged::Good => assert_eq!(judged, Judged::Good),
            _ => assert!(matches!(judged, Judged::Bad(_))),
        }
    }
}

/// A public authority's intermediate may be for servers only, and so may the leaf below it.
#[rstest]
#[case::server_below_server(
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ServerAuth,
    Judged::Good
)]
#[case::client_below_client(
    ExtendedKeyUsagePurpose::ClientAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
    Judged::Good
)]
#[case::client_below_server(
    ExtendedKeyUsagePurpose::ServerAuth,
    ExtendedKeyUsagePurpose::ClientAuth,
    Judged::Bad(Fault::Purpose)
)]
#[case::server_below_client(
    ExtendedKeyUsagePurpose::ClientAuth,
    ExtendedKeyUsagePurpose::ServerAuth,
    Judged::Bad(Fault::Purpose)
)]
fn one_purpose_holds_all_through_the_chain(
    #[case] above: ExtendedKeyUsagePurpose,
    #[case] below: ExtendedKeyUsagePurpose,
    #[case] expected: Judged,
) {
    let root = Authority::new("CA");
    let mut params = Authority::params("Intermediate");
    params.extended_key_usages = vec![above];
    let intermediate = root.below(params);
    let mut params = leaf(&["fp.example"]);
    params.extended_key_usages = vec![below];
    let chain = [intermediate.issue_with(&params).der(), intermediate.der()];
    let judge = Judge::new(root.authorities(), false);
    assert_eq!(judged_by(&judge, Presenter::Client, &chain), expected);
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
fn unknown_critical_extension_is_a_fault() {
    for (critical, expected) in [
        (false, Judged::Good),
        (true, Judged::Bad(Fault::Constraint)),
    ] {
        assert_eq!(judged(&with_extension(critical)), expected);
    }
}
