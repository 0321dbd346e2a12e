use std::time::Duration;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::UnixTime;

use super::domain;
use crate::certificate::fixture::{Authority, Leaf, leaf};
use crate::certificate::own::{Rule, examine};
use crate::certificate::{Credentials, Judge};

/// 2026-06-01.
const NOW: u64 = 1_780_272_000;
const DAY: u64 = 24 * 60 * 60;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// Parameters that nothing is wrong with.
fn good(names: &[&str]) -> CertificateParams {
    let mut params = leaf(names);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 1);
    params
}

fn remarks(
    authority: &Authority,
    credentials: &Credentials,
    now: u64,
) -> Vec<(Rule, bool, String)> {
    let judge = Judge::new(authority.authorities(), false);
    let alpha = domain("alpha.example");
    let examined = examine(credentials, Some(&alpha), &judge, at(now));
    let remarks = examined.into_iter().flat_map(|one| one.remarks);
    remarks
        .map(|one| (one.rule, one.refused, one.text))
        .collect()
}

/// The rules that a leaf of the authority breaks.
fn broken(params: &CertificateParams, now: u64) -> Vec<(Rule, bool)> {
    let authority = Authority::new("CA");
    let credentials = authority.issue_with(params).credentials();
    let remarks = remarks(&authority, &credentials, now);
    remarks
        .into_iter()
        .map(|(rule, refused, _)| (rule, refused))
        .collect()
}

#[test]
fn good_certificate_breaks_no_rule() {
    assert_eq!(broken(&good(&["alpha.example"]), NOW), []);
    let mut no_purposes = good(&["alpha.example", "other.example"]);
    no_purposes.extended_key_usages = Vec::new();
    assert_eq!(broken(&no_purposes, NOW), []);
}

#[test]
fn dates_are_told_days_before_the_end_and_after_it() {
    let params = good(&["alpha.example"]);
    let end = u64::try_from(params.not_after.unix_timestamp()).expect("after 1970");
    for (now, due) in [
        (NOW - 200 * DAY, vec![(Rule::Begun, true)]),
        (end - 31 * DAY, vec![]),
        (end - 30 * DAY, vec![(Rule::EndsLater(30), false)]),
        (end - 15 * DAY, vec![(Rule::EndsLater(30), false)]),
        (end - 14 * DAY, vec![(Rule::EndsLater(14), false)]),
        (end - 1, vec![(Rule::EndsLater(1), false)]),
        (end + 1, vec![(Rule::NotEnded, true)]),
    ] {
        assert_eq!(broken(&params, now), due, "{now}");
    }
    let authority = Authority::new("CA");
    let credentials = authority.issue_with(&params).credentials();
    let text = &remarks(&authority, &credentials, end + 1)[0].2;
    assert_eq!(text, "it expired on 2026-12-01; replace it and reload");
}

#[test]
fn names_have_to_hold_the_domain_itself() {
    for names in [&["other.example"][..], &["*.alpha.example"], &[]] {
        assert_eq!(
            broken(&good(names), NOW),
            [(Rule::Named, true)],
            "{names:?}"
        );
    }
    let authority = Authority::new("CA");
    let credentials = authority
        .issue_with(&good(&["*.alpha.example", "b.example"]))
        .credentials();
    let text = &remarks(&authority, &credentials, NOW)[0].2;
    assert!(
        text.starts_with("it names *.alpha.example, b.example, and not alpha.example;"),
        "{text}"
    );
}

#[test]
fn purposes_are_for_both_roles() {
    let mut params = good(&["alpha.example"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(broken(&params, NOW), [(Rule::ForClients, false)]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(broken(&params, NOW), [(Rule::ForServers, true)]);
    let mut params = good(&["alpha.example"]);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    assert_eq!(broken(&params, NOW), [(Rule::Signs, true)]);
}

#[test]
fn chain_has_to_lead_to_an_authority() {
    let authority = Authority::new("CA");
    let intermediate = authority.below(Authority::params("Intermediate"));
    let one = intermediate.issue_with(&good(&["alpha.example"]));
    let told = remarks(&authority, &one.credentials(), NOW);
    assert_eq!((told.len(), told[0].0), (1, Rule::Complete));
    assert!(
        told[0].2.contains("its chain ends below CN=Intermediate"),
        "{}",
        told[0].2
    );
    let (chain, key) = one.pem();
    let whole = Credentials::from_pem(&(chain + &intermediate.pem()), &key).expect("credentials");
    assert_eq!(remarks(&authority, &whole, NOW), []);
    let alone = Leaf::self_signed(&good(&["alpha.example"])).credentials();
    let told = remarks(&authority, &alone, NOW);
    assert!(told[0].2.starts_with("it is self-signed"), "{told:?}");
}

#[test]
fn each_key_type_is_examined() {
    let authority = Authority::new("CA");
    let [right, wrong] = ["alpha.example", "other.example"]
        .map(|name| authority.issue_with(&good(&[name])).credentials());
    let judge = Judge::new(authority.authorities(), false);
    let alpha = domain("alpha.example");
    let examined = examine(&right.and(&wrong), Some(&alpha), &judge, at(NOW));
    let counts: Vec<usize> = examined.iter().map(|one| one.remarks.len()).collect();
    assert_eq!(counts, [0, 1]);
    assert!(examined.iter().all(|one| one.key == "ECDSA"));
}
