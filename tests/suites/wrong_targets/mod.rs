//! Wrong targets. For each rule of the judge there is a target that breaks it, which the judge must detect;
//! the unmodified proxy passes the same case.

mod component_server;
pub(crate) mod double;
mod doubles;
mod misconfigured;
mod mortal;
mod mute;
mod stalling;
mod tampered;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use s2spec::case::Case;
use s2spec::finding::Violation;
use s2spec::oracle::prohibited::violations;
use s2spec::oracle::{Profile, Situation};
use s2spec::outcome::{Closer, Method, Outcome, Phase, Signal};
use s2spec::record::Record;
use s2spec::runner::Deadlines;
use s2spec::subject::Target;
use s2spec::subject::reference::Reference;
use s2spec::verdict::Verdict;
use simulated_partners::wire::Element;

use crate::support::{all_cases, reference, run_within};
use misconfigured::Misconfigured;
use tampered::{CUT, Front, Tampered, Way, faithful};

/// A target that loses something keeps a case waiting until its deadline, so that must be short.
const SOON: Duration = Duration::from_secs(2);

fn case(id: &str) -> Case {
    all_cases()
        .iter()
        .find(|case| case.id == id)
        .cloned()
        .unwrap_or_else(|| panic!("no case {id}"))
}

fn records(deadlines: Deadlines, target: Arc<dyn Target>, id: &str) -> Vec<Record> {
    run_within(deadlines, target, Profile::default(), &[case(id)])
}

fn judged(target: impl Target + 'static, id: &str) -> Record {
    take(records(Deadlines::default(), Arc::new(target), id), id)
}

/// For targets with which nothing else ends the case.
fn judged_soon(target: impl Target + 'static, id: &str) -> Record {
    take(records(Deadlines::within(SOON), Arc::new(target), id), id)
}

fn take(records: Vec<Record>, id: &str) -> Record {
    records
        .into_iter()
        .find(|record| record.result.case.id == id)
        .expect("every case has a record")
}

/// The control of the tests themselves.
fn passes_when_done_right(id: &str) {
    let record = take(records(Deadlines::default(), reference(), id), id);
    assert_eq!(record.verdict, Verdict::Pass, "{id}: {}", record.why);
}

fn tampered(stanzas: tampered::Stanzas) -> Tampered {
    Tampered {
        stanzas,
        front: Front::Proxy,
    }
}

/// The actual configuration of the target.
#[rstest]
#[case::weaker_method(
    "personas/row03/modern/outbound",
    15,
    "established by tls-dialback, which is not allowed"
)]
#[case::weaker_method_accepted(
    "personas/row03/modern/inbound",
    15,
    "established by tls-dialback, which is not allowed"
)]
#[case::refuses_who_is_welcome(
    "personas/row09/google-talk/outbound",
    7,
    "refused, although it must be established: stream error policy-violation at method, \
     ended by target"
)]
#[case::refuses_who_may_come_in(
    "personas/row09/google-talk/inbound",
    7,
    "refused, although it must be established: stream error policy-violation at dialback, \
     ended by target"
)]
#[case::refuses_with_another_reason(
    "personas/row08/external-refused-closed/outbound",
    16,
    "refused, but not for an allowed reason: configuration refused (row 16 of the negotiation \
     table is not a valid configuration: either SASL or dialback has to be on) at config, ended \
     by target"
)]
#[case::takes_an_invalid_policy(
    "personas/row18/google-talk/inbound",
    17,
    "must not: the target accepted a dialback key without TLS (#1); established by tcp-dialback, \
     which is not allowed"
)]
fn a_target_with_another_policy_fails(#[case] id: &str, #[case] row: u8, #[case] why: &str) {
    let record = judged(Misconfigured::to(row), id);
    assert_eq!(
        (record.verdict, record.why.as_str()),
        (Verdict::Fail, why),
        "{}",
        record.result.wire
    );
    passes_when_done_right(id);
}

#[test]
fn tls_left_unused_is_a_warning() {
    let id = "personas/row09/dialback-only/outbound";
    let record = judged(Misconfigured::to(17), id);
    assert_eq!(
        record.result.outcome(),
        Some(&Outcome::Established(Method::TcpDialback))
    );
    assert_eq!(record.verdict, Verdict::Warn);
    assert_eq!(record.why, "TLS was offered and not used");
    passes_when_done_right(id);
}

#[test]
fn what_one_source_allows_and_another_does_not_is_disputed() {
    let id = "personas/row09/modern/outbound";
    let record = judged(Misconfigured::to(15), id);
    assert_eq!(record.verdict, Verdict::Disputed);
    assert_eq!(
        record.why,
        "XEP-0238 allows it, XEP-0178 §3 step 10, RFC 6120 §6.4 does not"
    );
    passes_when_done_right(id);
}

#[test]
fn certificates_judged_more_strictly_than_agreed_are_a_warning() {
    let id = "personas/row07/cert-unknown-ca/inbound";
    let strict = Reference {
        strict_certificates: true,
    };
    let record = judged(strict, id);
    assert_eq!(record.verdict, Verdict::Warn, "{}", record.result.wire);
    assert_eq!(
        record.why,
        "closing because of the certificate also rules out dialback"
    );
    passes_when_done_right(id);
}

/// Violations that are always prohibited, with a target for each.
#[rstest]
#[case(Violation::Auth, "personas/row13/modern/outbound", 9)]
#[case(Violation::Success, "personas/row13/modern/inbound", 9)]
#[case(Violation::KeyInClear, "personas/row07/google-talk/outbound", 9)]
#[case(Violation::KeyOverTls, "personas/row08/dialback-only/outbound", 9)]
#[case(Violation::ValidInClear, "personas/row07/google-talk/inbound", 9)]
#[case(Violation::ValidOverTls, "personas/row08/dialback-only/inbound", 9)]
#[case(Violation::VerifyInClear, "personas/row07/google-talk/inbound", 9)]
#[case(Violation::StanzaInClear, "personas/row07/google-talk/outbound", 9)]
#[case(Violation::Starttls, "personas/row17/modern/outbound", 9)]
#[case(Violation::Starttls, "personas/row17/modern/inbound", 9)]
fn a_forbidden_deed_is_seen(#[case] deed: Violation, #[case] id: &str, #[case] row: u8) {
    forbidden(&judged(Misconfigured::to(row), id), deed);
    passes_when_done_right(id);
}

#[test]
fn external_offered_in_clear_is_seen() {
    let id = "personas/row09/google-talk/inbound";
    let mechanisms = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                      <mechanism>EXTERNAL</mechanism></mechanisms></stream:features>";
    let target = Tampered {
        stanzas: faithful,
        front: Front::Rewritten("</stream:features>", mechanisms),
    };
    forbidden(&judged(target, id), Violation::ExternalInClear);
    passes_when_done_right(id);
}

#[test]
fn a_stanza_before_authentication_is_seen() {
    let id = "personas/row09/google-talk/inbound";
    let early = "</stream:features><message to='a@b.example' from='c@d.example'/>";
    let target = Tampered {
        stanzas: faithful,
        front: Front::Rewritten("</stream:features>", early),
    };
    forbidden(&judged(target, id), Violation::StanzaBeforeAuthentication);
    passes_when_done_right(id);
}

fn forbidden(record: &Record, deed: Violation) {
    let situation = Situation::of(&record.result.case, Profile::default());
    let done: BTreeSet<Violation> = violations(&situation, &record.result.events)
        .into_iter()
        .map(|(_, deed)| deed)
        .collect();
    assert!(done.contains(&deed), "{done:?}: {}", record.result.wire);
    assert_eq!(record.verdict, Verdict::Fail, "{}", record.why);
    assert!(
        record.why.starts_with("must not: the target "),
        "{}",
        record.why
    );
}

#[test]
fn no_forbidden_deed_is_left_out() {
    let told = include_str!("mod.rs");
    for deed in Violation::ALL {
        assert!(told.contains(&format!("Violation::{deed:?}")), "{deed:?}");
    }
}

fn typed(stanza: &Element, kind: &str) -> bool {
    stanza.attribute("type") == Some(kind)
}

fn loses_answers(way: Way, stanza: Element) -> Vec<(Way, Element)> {
    match typed(&stanza, "result") {
        true => Vec::new(),
        false => faithful(way, stanza),
    }
}

#[rstest]
#[case("personas/row09/modern/outbound")]
#[case("personas/row09/modern/inbound")]
fn an_answer_that_is_lost_fails(#[case] id: &str) {
    let record = judged_soon(tampered(loses_answers), id);
    assert!(matches!(
        record.result.outcome(),
        Some(Outcome::Established(_))
    ));
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(
        record.why,
        "the stanza arrived, but its answer did not come back"
    );
    assert_eq!(judged(tampered(faithful), id).verdict, Verdict::Pass);
}

#[test]
fn a_stanza_that_is_lost_on_the_way_in_is_not_established() {
    fn loses_all_that_comes(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        match typed(&stanza, "get") && way == Way::In {
            true => Vec::new(),
            false => faithful(way, stanza),
        }
    }
    let id = "personas/row09/modern/inbound";
    let record = judged_soon(tampered(loses_all_that_comes), id);
    assert!(!matches!(
        record.result.outcome(),
        Some(Outcome::Established(_))
    ));
    assert_eq!(record.verdict, Verdict::Fail, "{}", record.why);
    passes_when_done_right(id);
}

#[test]
fn a_stanza_that_gets_through_a_refusal_fails() {
    /// Delivers the partner's stanza right before the harness asks whether anything arrived.
    fn leaks(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        let mut passed = Vec::new();
        if way == Way::Out && stanza.attribute("from") == Some("barrier@contoso.example") {
            let partner = case("personas/row02/google-talk/inbound").domain();
            let leaked = Element::new("jabber:server", "iq")
                .attr("type", "get")
                .attr("id", &format!("probe-{partner}"))
                .attr("from", &partner)
                .attr("to", "contoso.example");
            passed.push((Way::In, leaked));
        }
        passed.push((way, stanza));
        passed
    }
    let id = "personas/row02/google-talk/inbound";
    let record = judged(tampered(leaks), id);
    assert!(matches!(record.result.outcome(), Some(Outcome::Refused(_))));
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(
        record.why,
        "the stanza arrived although the stream was refused"
    );
    passes_when_done_right(id);
}

#[test]
fn a_stanza_that_is_not_returned_fails() {
    fn loses_errors(way: Way, stanza: Element) -> Vec<(Way, Element)> {
        let of_a_case = stanza.attribute("from") != Some("nobody@unlisted.example");
        match way == Way::In && typed(&stanza, "error") && of_a_case {
            true => Vec::new(),
            false => faithful(way, stanza),
        }
    }
    let id = "personas/row02/google-talk/outbound";
    let record = judged_soon(tampered(loses_errors), id);
    assert!(matches!(record.result.outcome(), Some(Outcome::Refused(_))));
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(
        record.why,
        "the stanza was not returned to its sender (XEP-0220 §2.1.1)"
    );
    passes_when_done_right(id);
}

#[test]
fn a_target_that_returns_everything_and_never_dials_fails() {
    fn returns(way: Way, mut stanza: Element) -> Vec<(Way, Element)> {
        if way == Way::In {
            return faithful(way, stanza);
        }
        for attribute in &mut stanza.attributes {
            match attribute.name.as_str() {
                "type" => attribute.value = "error".to_owned(),
                "from" => attribute.name = "to".to_owned(),
                "to" => attribute.name = "from".to_owned(),
                _ => {}
            }
        }
        vec![(Way::In, stanza)]
    }
    let id = "personas/row02/dialback-only/outbound";
    let record = judged(tampered(returns), id);
    let Some(Outcome::Refused(refusal)) = &record.result.outcome() else {
        panic!("{:?}", record.result.outcome());
    };
    assert_eq!(refusal.signal, Signal::NoConnection);
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(
        record.why,
        "refused, but not for an allowed reason: no connection at connect, ended by target"
    );
    passes_when_done_right(id);
}

#[test]
fn a_target_that_does_nothing_stalls() {
    fn loses_everything(_: Way, _: Element) -> Vec<(Way, Element)> {
        Vec::new()
    }
    let id = "personas/row09/modern/outbound";
    let record = judged_soon(tampered(loses_everything), id);
    assert_eq!(
        record.result.outcome(),
        Some(&Outcome::Stalled(Phase::Connect))
    );
    assert_eq!(record.verdict, Verdict::Fail);
    assert_eq!(
        record.why,
        "nothing more happened (connect) before the deadline"
    );
    passes_when_done_right(id);
}

#[rstest]
#[case("personas/row09/modern/inbound")]
#[case("personas/row02/google-talk/inbound")]
fn a_target_that_is_silent_fails(#[case] id: &str) {
    let target = Tampered {
        stanzas: faithful,
        front: Front::Silent,
    };
    let record = judged_soon(target, id);
    let Some(Outcome::Refused(refusal)) = &record.result.outcome() else {
        panic!("{:?}", record.result.outcome());
    };
    assert_eq!(
        (refusal.phase, refusal.closer, &refusal.signal),
        (Phase::Stream, Closer::Partner, &Signal::Silence)
    );
    assert_eq!(record.verdict, Verdict::Fail, "{}", record.why);
    passes_when_done_right(id);
}

#[test]
fn an_inner_side_that_is_lost_is_an_error_and_says_nothing_of_the_target() {
    fn cuts(_: Way, _: Element) -> Vec<(Way, Element)> {
        vec![(Way::In, Element::new("jabber:server", CUT))]
    }
    let id = "personas/row09/modern/outbound";
    let record = judged(tampered(cuts), id);
    assert_eq!(record.verdict, Verdict::Error);
    assert!(
        record.why.starts_with("the target's inner link was lost: "),
        "{}",
        record.why
    );
    assert_eq!(record.result.outcome(), None);
    passes_when_done_right(id);
}

#[test]
fn a_refusal_by_a_target_that_refuses_everybody_proves_nothing() {
    let id = "personas/row02/google-talk/inbound";
    let all = records(Deadlines::default(), Arc::new(Misconfigured::to(2)), id);
    let control = all
        .iter()
        .find(|record| record.result.added_as_control)
        .expect("a refusal has a control");
    assert_eq!(control.verdict, Verdict::Fail, "{}", control.why);
    let proves_nothing = format!(
        "refused as expected, but its control {} was not accepted: this refusal proves nothing",
        control.result.case.id
    );
    let record = take(all, id);
    assert!(matches!(record.result.outcome(), Some(Outcome::Refused(_))));
    assert_eq!(record.verdict, Verdict::Warn);
    assert_eq!(record.why, proves_nothing);
    passes_when_done_right(id);
}
