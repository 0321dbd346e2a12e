use std::sync::Arc;

use super::*;
use crate::bundle::fixture::bundle;
use crate::lab::Lab;
use crate::policy::PolicyNumber;
use crate::subject::reference::Reference;
use crate::subject::{Pending, Placement, Running, StartError, Stop};

const REFERENCE: Reference = Reference {
    strict_certificates: false,
};

/// The proxy with another policy than the one that it should have: everything is optional.
struct Wrong;

impl Target for Wrong {
    fn name(&self) -> String {
        "a wrong proxy".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        REFERENCE.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let row = PolicyNumber::new(9).expect("there is one");
            let cases: Vec<Case> = cases
                .iter()
                .map(|case| Case {
                    row,
                    ..case.clone()
                })
                .collect();
            REFERENCE.start(lab, group, &cases).await
        })
    }
}

fn replayed(bundle: &Bundle, target: Arc<dyn Target>) -> CaseResult {
    let case = bundle.case().expect("all that it needs is in it");
    again(bundle, case, target).expect("it runs")
}

/// TLS is required, and the wrong proxy does without.
const CASE: &str = "personas/row07/google-talk/inbound";

#[test]
fn a_failure_replays_the_same_on_the_same_target_and_differs_on_a_right_one() {
    let (record, bundle) = bundle(CASE, Arc::new(Wrong));
    assert!(record.verdict.is_unexpected(), "{}", record.why);
    let same = replayed(&bundle, Arc::new(Wrong));
    assert_eq!(bundle.differs(&same), None);
    let told = text(&bundle, "a wrong proxy", &same, 200);
    assert!(told.starts_with("same: personas/row07"), "{told}");

    let other = replayed(&bundle, Arc::new(REFERENCE));
    let told = text(&bundle, "a right proxy", &other, 200);
    assert!(told.starts_with("different: personas/row07"), "{told}");
    assert!(told.contains("then it ended with"), "{told}");
    assert!(
        told.contains("the first event that differs is number"),
        "{told}"
    );
}

#[test]
fn a_scenario_replays_from_its_own_files() {
    let (record, bundle) = bundle(
        "tls/TLS-06-failure-is-no-leave-for-clear-text/ended/row07",
        Arc::new(REFERENCE),
    );
    assert_eq!(record.result.findings(), []);
    assert!(bundle.scenario.is_some());
    assert!(bundle.personas.contains_key("modern"));
    assert!(!bundle.requirements.is_empty());
    assert_eq!(
        bundle.differs(&replayed(&bundle, Arc::new(REFERENCE))),
        None
    );
}

#[test]
fn what_was_there_is_in_the_bundle() {
    let (_, bundle) = bundle("policies/row09/row09/inbound", Arc::new(REFERENCE));
    let partner = &bundle.certificates["partner"];
    assert_eq!(partner.domain, "inbound.row09.row09.policies.example");
    for pem in [&partner.pem, &bundle.authority] {
        let (certificate, key) = (pem.certificate.as_deref(), pem.key.as_deref());
        assert!(certificate.is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
        assert!(key.is_some_and(|pem| pem.contains("BEGIN PRIVATE KEY")));
    }
    let service = "_xmpp-server._tcp.inbound.row09.row09.policies.example";
    assert!(
        bundle
            .dns
            .iter()
            .any(|line| line.contains(service) && line.contains("SRV")),
        "{:?}",
        bundle.dns
    );
    assert!(bundle.target.configuration["proxy.toml"].contains("[[partner]]"));
    assert_eq!(bundle.result["id"], "policies/row09/row09/inbound");
    assert!(!bundle.canonical["partner"].is_empty());
}

#[test]
fn only_a_built_in_target_is_taken_from_a_bundle() {
    let (_, mut bundle) = bundle("policies/row09/row09/inbound", Arc::new(REFERENCE));
    assert_eq!(chosen(None, &bundle).ok(), Some(Chosen::Reference));
    for name in [None, Some("/tmp/target.toml"), Some("nothing\u{202e}")] {
        bundle.target.built_in = name.map(str::to_owned);
        let error = chosen(None, &bundle).expect_err("it is not built in");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("--target"), "{error}");
    }
    let asked = Chosen::File("mine.toml".into());
    assert_eq!(chosen(Some(&asked), &bundle).ok(), Some(asked));
}
