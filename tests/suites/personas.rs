//! Every persona in both directions against all 18 policies of the embedded proxy: a snapshot each.

mod support;

use rstest::rstest;
use s2spec::case::{Case, Direction, Set};
use s2spec::oracle::Profile;
use s2spec::verdict::Verdict;
use simulated_partners::persona;

use support::{all_cases, assert_snapshot, reference, run, story};

#[rstest]
fn ends_as_recorded(
    #[values(
        "authority-invalid",
        "authority-silent",
        "authority-unreachable",
        "authority-wrong-domain",
        "cert-expired",
        "cert-missing-intermediate",
        "cert-no-client-auth",
        "cert-self-signed",
        "cert-unknown-ca",
        "cert-wrong-name",
        "dialback-only",
        "external-on-plaintext",
        "external-refused-closed",
        "external-refused-kept",
        "google-talk",
        "handshake-broken",
        "legacy-tls",
        "modern",
        "no-methods",
        "no-stream-id",
        "no-version",
        "reset-at-features",
        "silent-after-accept",
        "starttls-failure",
        "strict-tls",
        "tls-required-dialback",
        "tls12-only"
    )]
    name: &str,
    #[values(Direction::Outbound, Direction::Inbound)] direction: Direction,
) {
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| {
            case.set == Set::Personas && case.partner.name == name && case.direction == direction
        })
        .cloned()
        .collect();
    assert_eq!(selected.len(), 18, "one case a row");
    let records = run(reference(), Profile::default(), &selected);
    let wrong: Vec<String> = records
        .iter()
        .filter(|record| !matches!(record.verdict, Verdict::Pass | Verdict::Warn))
        .map(|record| {
            format!(
                "{}: {:?}: {}",
                record.result.case.id, record.verdict, record.why
            )
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    let title = persona::find(name).expect("the persona is built in").title;
    let way = match direction {
        Direction::Outbound => "outbound",
        Direction::Inbound => "inbound",
    };
    assert_snapshot(
        "reference",
        &format!("{name}-{way}"),
        &title,
        &story(&records),
    );
}

#[test]
fn no_persona_is_left_out() {
    let named = include_str!("personas.rs");
    for persona in persona::builtin() {
        assert!(
            named.contains(&format!("\"{}\"", persona.name)),
            "{} has no snapshot",
            persona.name
        );
    }
}
