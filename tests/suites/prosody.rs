//! Every policy that Prosody can express against partners of all sorts, in both directions.

use std::sync::Arc;

use s2spec::matrix::{Case, Set};
use s2spec::oracle::Profile;
use s2spec::runner::Verdict;
use s2spec::target::prosody::Prosody;
use s2spec_tests::{all_cases, run};

const PARTNERS: [&str; 9] = [
    "cert-expired",
    "cert-unknown-ca",
    "dialback-only",
    "google-talk",
    "modern",
    "no-methods",
    "starttls-failure",
    "strict-tls",
    "tls12-only",
];

#[test]
fn a_real_prosody_ends_as_the_tables_say() {
    let prosody = match Prosody::find() {
        Ok(prosody) => prosody,
        Err(why) if std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("nothing tested against Prosody: {why}");
            return;
        }
    };
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| case.set == Set::Personas && PARTNERS.contains(&case.partner.name.as_str()))
        .cloned()
        .collect();
    assert_eq!(selected.len(), PARTNERS.len() * 18 * 2);
    let records = run(Arc::new(prosody), Profile::default(), &selected);
    let wrong: Vec<String> = records
        .iter()
        .filter(|record| {
            !matches!(
                record.verdict,
                Verdict::Pass | Verdict::Warn | Verdict::Unsupported
            )
        })
        .map(|record| {
            format!(
                "{}: {:?}: {}\n{}",
                record.case.id, record.verdict, record.why, record.wire
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let ran = records
        .iter()
        .filter(|record| record.verdict != Verdict::Unsupported)
        .count();
    assert!(
        ran >= 10 * PARTNERS.len() * 2,
        "only {ran} cases could be expressed"
    );
}
