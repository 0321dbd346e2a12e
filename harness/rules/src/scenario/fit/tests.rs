use rstest::rstest;
use simulated_partners::persona::Tls;
use simulated_partners::reaction::{Stage, When};

use crate::case::{Case, OutcomeWord};
use crate::policy::PolicyNumber;
use crate::scenario::Library;
use crate::verdict::Weight;

fn in_policy(scenario: &str, row: u8) -> Vec<Case> {
    let library = Library::builtin_where(|name, _| name == scenario);
    let row = PolicyNumber::new(row).expect("1 to 18");
    let cases = library.cases_in(Some(&[row]));
    assert!(!cases.is_empty(), "no scenario is called {scenario}");
    cases
}

#[rstest]
#[case("xml/XML-01-comment", &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 15, 17])]
#[case("sasl/SAS-16-abort", &[1, 2, 3, 4, 7, 8, 9, 10])]
#[case("dialback/DB-75-key-in-clear", &[7, 13])]
fn a_scenario_runs_where_its_way_in_is_open(#[case] scenario: &str, #[case] rows: &[u8]) {
    let open: Vec<u8> = PolicyNumber::all()
        .filter(|row| row.policy().valid())
        .map(PolicyNumber::number)
        .filter(|row| {
            let cases = in_policy(scenario, *row);
            cases.iter().any(|case| case.script.unfit.is_none())
        })
        .collect();
    assert_eq!(open, rows);
}

#[test]
fn a_case_that_does_not_fit_says_what_it_needs() {
    let cases = in_policy("sasl/SAS-16-abort", 17);
    let why = cases[0].script.unfit.as_deref();
    assert!(
        why.is_some_and(|why| why.starts_with("it needs sasl-tls")),
        "{why:?}"
    );
}

#[test]
fn a_bad_certificate_weighs_less_where_it_may_be_let_in() {
    let scenario = "certificates/CRT-18-dates-of-a-server";
    // Rows 2 and 9: SASL required without dialback, and everything left open.
    for (row, level) in [(2, None), (9, Some(Weight::Should))] {
        for case in in_policy(scenario, row) {
            let is_control = case.scenario().is_some_and(|one| one.is_control);
            let refusals = case.script.expect.iter().filter(|one| one.is_negative());
            let mut levels = refusals.map(|one| one.level);
            assert!(
                is_control || levels.all(|found| found == level),
                "{}",
                case.id
            );
        }
    }
}

#[test]
fn partners_hold_back_what_would_rescue_a_refusal() {
    // Written for a policy without dialback.
    let scenario = "certificates/CRT-18-dates-of-a-server";
    let at_home = in_policy(scenario, 2);
    let elsewhere = in_policy(scenario, 9);
    assert!(at_home[0].partner.offer.dialback);
    assert!(!elsewhere[0].partner.offer.dialback);
    assert_eq!(elsewhere[0].partner.offer.tls, Tls::Offered);
    assert!(elsewhere[0].id.ends_with("/row09"), "{}", elsewhere[0].id);
}

#[test]
fn a_refusal_and_its_control_run_in_the_same_policy_or_not_at_all() {
    for row in PolicyNumber::all().filter(|row| row.policy().valid()) {
        let cases = Library::builtin().cases_in(Some(&[row]));
        for case in cases.iter().filter(|case| case.script.unfit.is_none()) {
            let Some(id) = case.scenario().and_then(|one| one.control.as_ref()) else {
                continue;
            };
            let control = cases.iter().find(|other| other.id == *id);
            let control = control.unwrap_or_else(|| panic!("{} has no control {id}", case.id));
            assert_eq!(control.script.unfit, None, "{id}");
            assert_eq!(control.row, row);
        }
    }
}

#[test]
fn keys_that_partners_send_in_clear_follow_tls_where_that_comes_first() {
    let scenario = "dialback/DB-68-key-as-it-is";
    let stages = |row| {
        let cases = in_policy(scenario, row);
        let reactions = &cases[0].partner.reactions;
        let first = reactions
            .iter()
            .filter(|one| one.when == When::FeaturesReceived);
        first.map(|one| one.stage).collect::<Vec<_>>()
    };
    assert_eq!(stages(17), [None]);
    assert_eq!(stages(13), [Some(Stage::Secured)]);
    // A partner can leave TLS out there.
    assert_eq!(stages(15), [None]);
    assert_eq!(in_policy(scenario, 15)[0].partner.offer.tls, Tls::None);
}

#[test]
fn the_best_way_in_and_its_streams_are_those_of_the_policy() {
    for (row, method, streams) in [
        (9, OutcomeWord::SaslTls, 3),
        (13, OutcomeWord::TlsDialback, 2),
        (17, OutcomeWord::TcpDialback, 1),
    ] {
        let cases = in_policy("streams/STR-13-id-in-initial-header", row);
        let script = &cases[0].script;
        assert_eq!(script.outcome, [method]);
        let counts = script.expect.iter().filter(|one| one.every_stream);
        let counts: Vec<_> = counts.map(|one| one.at_least).collect();
        assert_eq!(counts, [Some(streams)]);
    }
}

/// The least share of the cases of policy 9 that run in another, in percent.
#[rstest]
#[case(&[3, 7], 85)]
#[case(&[1, 2, 4, 8, 10], 55)]
#[case(&[13, 15], 64)]
#[case(&[5, 11, 17], 45)]
fn most_scenarios_run_in_any_policy(#[case] rows: &[u8], #[case] percent: usize) {
    let run = |row: u8| {
        let row = PolicyNumber::new(row).expect("1 to 18");
        let cases = Library::builtin().cases_in(Some(&[row]));
        cases
            .iter()
            .filter(|one| one.script.unfit.is_none())
            .count()
    };
    let open = run(9);
    for row in rows {
        let here = run(*row);
        assert!(
            here * 100 >= open * percent,
            "policy {row}: {here} of {open}"
        );
    }
}
