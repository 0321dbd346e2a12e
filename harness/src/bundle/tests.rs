use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::oracle::Profile;
use crate::report::fixture;
use crate::scenario::Catalogue;

fn circumstances() -> Circumstances {
    Circumstances {
        built_in: None,
        target_file: Some(("mine.toml".to_owned(), "format = 1\n".to_owned())),
        seed: 3,
        profile: Profile::default(),
        timeout: std::time::Duration::from_millis(2500),
        catalogue: Catalogue::builtin().clone(),
    }
}

fn bundle() -> Value {
    let bundle = Bundle::of(&fixture::failed(), "server 1", &circumstances());
    serde_json::to_value(bundle.expect("it has a JSON form")).expect("it has a JSON form")
}

fn read(value: &Value) -> Result<Bundle, String> {
    Bundle::read(&value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_bundle_says_what_was_run_and_how() {
    let bundle = read(&bundle()).expect("it is one");
    assert_eq!(bundle.target.configuration["mine.toml"], "format = 1\n");
    assert_eq!(bundle.options.timeout, 2.5);
    assert_eq!(bundle.end.weight.as_deref(), Some("fail"));
    let case = bundle.case().expect("its persona is in it");
    let original = fixture::failed().result.case;
    assert_eq!((&case.id, case.row), (&original.id, original.row));
    assert_eq!(case.partner, original.partner);
    assert_eq!(bundle.differs(&fixture::failed().result), None);
}

#[rstest]
#[case("[]", "no number `bundle`")]
#[case("{\"schema\": 4}", "no number `bundle`")]
#[case("{\"bundle\": 2}", "its version is 2; this s2spec reads 1")]
#[case("{\"bundle\": 1}", "does not keep to it")]
#[case("{\"bundle\": 1, \"tool\"", "not a whole JSON document")]
#[case("no JSON", "not a whole JSON document")]
#[case("", "not a whole JSON document")]
fn what_is_no_bundle_is_refused_with_the_reason(#[case] text: &str, #[case] why: &str) {
    let error = Bundle::read(text).expect_err(text).to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn nesting_without_end_is_refused() {
    let text = format!("{{\"bundle\": 1, \"result\": {}", "[".repeat(100_000));
    assert!(Bundle::read(&text).is_err());
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for timeout in [json!(0.0), json!(-1), json!(1e9)] {
        let mut wrong = bundle();
        wrong["options"]["timeout"] = timeout;
        let error = read(&wrong).expect_err("it is out of bounds");
        assert!(error.contains("at most 3600"), "{error}");
    }
    let mut wrong = bundle();
    wrong["case"]["policy"] = json!(19);
    let error = read(&wrong)
        .expect("a number")
        .case()
        .expect_err("no policy");
    assert_eq!(
        error.to_string(),
        "its policy is 19; expected a number from 1 to 18"
    );
}

#[test]
fn a_case_of_a_set_needs_what_the_set_is_made_of() {
    for (set, lacking) in [
        ("personas", "persona"),
        ("offers", "partner"),
        ("scenarios", "scenario"),
    ] {
        let mut wrong = bundle();
        wrong["case"]["set"] = json!(set);
        wrong["personas"] = json!({});
        let error = read(&wrong).expect("a bundle").case().expect_err(set);
        assert_eq!(
            error.to_string(),
            format!("it is of the set {set}, and has no {lacking}")
        );
    }
}

#[test]
fn a_scenario_reads_no_persona_from_elsewhere() {
    let mut wrong = bundle();
    wrong["case"]["set"] = json!("scenarios");
    wrong["case"]["id"] = json!("own/late");
    wrong["personas"] = json!({});
    wrong["scenario"] = json!({
        "file": "own/late.toml",
        "text": "format = 1\ntitle = 'It answers'\ndirection = 'inbound'\n\
                 partner = { persona = '/etc/persona.toml' }\nexpect = [{ sees = 'delivered' }]\n",
    });
    let error = read(&wrong).expect("a bundle").case();
    let error = error.expect_err("it was not kept").to_string();
    assert!(
        error.contains("the persona `/etc/persona.toml` was not kept"),
        "{error}"
    );
}
