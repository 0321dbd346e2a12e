use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use simulated_partners::document::Source;
use simulated_partners::event::{
    Close, ConnectionId, ConnectionKind, Event, EventKind, Party, TlsSession,
};
use simulated_partners::negotiate::dialback;
use simulated_partners::wire::{Element, Frame, Kind, NS_SERVER, NS_STREAM, NS_STREAMS, Unit};

use super::*;
use crate::case::Script;
use crate::case::{Expect, Sees};
use crate::evidence::Ailment;
use crate::finding::{Against, Finding, Sign};
use crate::observe::{Observation, Observer, local};
use crate::outcome::{Method, Outcome};
use crate::scenario::{Catalogue, File, cases};
use crate::verdict::Weight;

/// An expectation that judges a MUST.
fn script() -> Arc<Script> {
    let source = Source::new(
        "XML-01-comment.toml",
        "format = 1\ntitle = 'A comment ends the stream'\nrequirements = ['XML-01']\n\
         direction = 'inbound'\n[[expect]]\nsees = 'stream-error'\non = 'inbound'\ncondition = ['restricted-xml']\n\
         tolerated = ['not-well-formed']\n[control]\nvalues.unit = ' '\n",
    );
    let file = File::read("xml/XML-01-comment", &source, Catalogue::builtin());
    let file = file.expect("it has no mistakes");
    let cases = cases("xml/XML-01-comment", &file, None);
    Arc::clone(&cases[0].script)
}

fn seen(kind: ConnectionKind, frames: &[(Party, Element)]) -> Vec<Observation> {
    let mut eye = Observer::default();
    let name = Arc::from("partner");
    let mut observations = Vec::new();
    let opened = EventKind::Opened(kind);
    let frames = frames.iter().map(|(from, element)| EventKind::Frame {
        from: *from,
        encrypted: false,
        frame: Arc::new(Frame {
            raw: element.to_xml().into_bytes(),
            kind: Kind::Element(element.clone()),
            offset: 0,
        }),
    });
    for (number, kind) in [opened].into_iter().chain(frames).enumerate() {
        let at = Duration::from_millis(number as u64);
        let event = Event {
            connection: ConnectionId(1),
            at,
            kind,
        };
        observations.extend(eye.look(&name, at, &event));
    }
    observations
}

fn stream_error(condition: &str) -> Element {
    Element::prefixed("stream", NS_STREAM, "error").child(Element::new(NS_STREAMS, condition))
}

fn plain(text: &str) -> String {
    text.to_owned()
}

fn expectation(text: &str) -> Expect {
    toml::from_str(text).expect("it is an expectation")
}

#[rstest]
#[case("restricted-xml", Grade::Met)]
#[case("not-well-formed", Grade::Tolerated("stream-error is `not-well-formed`, but `restricted-xml` would be more specific".to_owned()))]
#[case("invalid-from", Grade::Unmet("not seen, but with `invalid-from`".to_owned()))]
fn conditions_are_right_or_tolerated_or_wrong(#[case] condition: &str, #[case] wanted: Grade) {
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error(condition))],
    );
    let expect = expectation(
        "sees = \"stream-error\"\ncondition = [\"restricted-xml\"]\ntolerated = [\"not-well-formed\"]",
    );
    assert_eq!(grade(&expect, &observations, &plain), wanted);
}

#[rstest]
#[case("", "reset", true)]
#[case("", "connection-timeout", false)]
#[case("condition = [\"*\"]", "connection-timeout", true)]
fn an_error_that_only_ends_the_waiting_answers_nothing(
    #[case] wanted: &str,
    #[case] condition: &str,
    #[case] is_met: bool,
) {
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error(condition))],
    );
    let expect = |more: &str| expectation(&format!("sees = \"stream-error\"\n{wanted}\n{more}"));
    assert_eq!(grade(&expect(""), &observations, &plain).is_met(), is_met);
    let denied = grade(&expect("never = true"), &observations, &plain);
    assert!(!denied.is_met(), "an error it is");
}

#[test]
fn an_alternative_will_do_and_may_be_only_tolerated() {
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error("reset"))],
    );
    let expect = |warn: &str| {
        expectation(&format!(
            "sees = \"sasl-failure\"\nor = [{{ sees = \"stream-error\"{warn} }}]"
        ))
    };
    assert_eq!(grade(&expect(""), &observations, &plain), Grade::Met);
    assert_eq!(
        grade(&expect(", warn = \"late\""), &observations, &plain),
        Grade::Tolerated("late (stream-error `reset`)".to_owned())
    );
    assert!(!grade(&expect(""), &observations[..0], &plain).is_met());
}

#[rstest]
#[case("with = { id = \"a*\" }", true)]
#[case("with = { id = \"b*\" }", false)]
#[case("without = [\"id\"]", false)]
#[case("without = [\"from\"]", true)]
#[case("has = [\"body\"]", true)]
#[case("has = [\"body=hel*\"]", true)]
#[case("has = [\"body=no\"]", false)]
#[case("lacks = [\"body\"]", false)]
#[case("on = \"inbound\"", true)]
#[case("on = \"outbound\"", false)]
#[case("stage = \"authenticated\"", false)]
#[case("at-least = 2", false)]
#[case("at-most = 0", false)]
#[case("after = { sees = \"presence\" }", false)]
#[case("after = { sees = \"presence\", ours = true }", true)]
#[case("before = { sees = \"presence\", ours = true }", false)]
fn every_part_of_a_message_can_be_expected(#[case] condition: &str, #[case] wanted: bool) {
    let message = Element::new(NS_SERVER, "message")
        .attr("id", "a1")
        .child(Element::new(NS_SERVER, "body").text("hello"));
    let presence = Element::new(NS_SERVER, "presence");
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Partner, presence), (Party::Target, message)],
    );
    let expect = expectation(&format!("sees = \"message\"\n{condition}"));
    assert_eq!(grade(&expect, &observations, &plain).is_met(), wanted);
}

#[rstest]
#[case("", "", true)]
#[case("", "a", false)]
#[case("*", "", true)]
#[case("a*", "abc", true)]
#[case("*c", "abc", true)]
#[case("a*c", "abc", true)]
#[case("a*b*c", "a-b-c", true)]
#[case("a*b*c", "a-c-b", false)]
#[case("ab*ba", "aba", false)]
#[case("abc", "abcd", false)]
fn a_star_stands_for_any_text(#[case] pattern: &str, #[case] text: &str, #[case] wanted: bool) {
    assert_eq!(grade::fits(pattern, text), wanted);
}

#[test]
fn stanzas_on_the_inner_side_are_distinguished() {
    let stanza = |name: &str, kind: &str| Element::new(NS_SERVER, name).attr("type", kind);
    let sees = |element: Element| local(&element, Duration::ZERO)[0].sees;
    assert_eq!(sees(stanza("iq", "get")), Sees::Delivered);
    assert_eq!(sees(stanza("iq", "result")), Sees::Answered);
    assert_eq!(sees(stanza("message", "error")), Sees::Returned);
}

fn ended(by: Party) -> Vec<Observation> {
    let mut eye = Observer::default();
    let what = [
        EventKind::Opened(ConnectionKind::Inbound),
        EventKind::Closed {
            by,
            how: Close::Reset,
        },
    ];
    let events = what.into_iter().map(|kind| Event {
        connection: ConnectionId(1),
        at: Duration::ZERO,
        kind,
    });
    let name = Arc::from("partner");
    events
        .flat_map(|event| eye.look(&name, Duration::ZERO, &event))
        .collect()
}

#[rstest]
#[case("", Party::Target, true)]
#[case("", Party::Partner, false)]
#[case("with = { by = \"target\" }", Party::Partner, false)]
#[case("with = { by = \"*\" }", Party::Partner, true)]
#[case("with = { by = \"partner\" }", Party::Target, false)]
fn an_end_by_the_partner_meets_only_what_asks_for_it(
    #[case] with: &str,
    #[case] by: Party,
    #[case] wanted: bool,
) {
    let expect = expectation(&format!("sees = \"closed\"\n{with}"));
    assert_eq!(grade(&expect, &ended(by), &plain).is_met(), wanted);
}

#[test]
fn bytes_that_are_no_stream_are_a_fault_unless_the_scenario_judges_them() {
    let illegal = Observation {
        sees: Sees::Illegal,
        element: None,
        facts: BTreeMap::from([("condition", "bytes in clear".to_owned())]),
        ..seen(
            ConnectionKind::Inbound,
            &[(Party::Target, stream_error("restricted-xml"))],
        )[0]
        .clone()
    };
    let mut observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error("restricted-xml"))],
    );
    observations.push(illegal);
    let mut script = Script::clone(&script());
    let found = findings(&script, &observations, None);
    assert_eq!(
        found[0].text,
        "the target sent what is not a legal stream: bytes in clear"
    );
    let judged = expectation("sees = \"illegal\"\nat-most = 1");
    script.expect.push(judged);
    assert_eq!(findings(&script, &observations, None), []);
}

#[rstest]
#[case::stanza(ConnectionKind::Inbound, Unit::Iq.element(), Some("STR-33"))]
#[case::own_key(ConnectionKind::Inbound, Unit::DbResult.element(), Some("DB-33"))]
#[case::answer(ConnectionKind::Inbound, Unit::DbResult.element().attr("type", "valid"), None)]
#[case::answer_elsewhere(
    ConnectionKind::Outbound,
    Unit::DbResult.element().attr("type", "valid"),
    Some("DB-43")
)]
#[case::key(ConnectionKind::Outbound, Unit::DbResult.element(), None)]
#[case::stanza_out(ConnectionKind::Outbound, Unit::Iq.element(), None)]
fn what_leaves_by_the_wrong_stream_is_wrong_in_every_scenario(
    #[case] on: ConnectionKind,
    #[case] element: Element,
    #[case] requirement: Option<&str>,
) {
    let told = |frames: &[(Party, Element)]| -> Vec<Against> {
        let observations = seen(on, frames);
        let found = always::breaches(&[], &observations).into_iter();
        found
            .filter_map(|breach| breach.requirement)
            .map(|id| Against::Requirements(vec![id.to_owned()]))
            .collect()
    };
    let wanted: Vec<Against> = requirement
        .map(|id| Against::Requirements(vec![id.to_owned()]))
        .into_iter()
        .collect();
    assert_eq!(told(&[(Party::Target, element.clone())]), wanted);
    let bidi = Element::new("urn:xmpp:bidi", "bidi");
    assert_eq!(
        told(&[(Party::Partner, bidi), (Party::Target, element)]),
        []
    );
}

#[test]
fn an_expectation_that_cannot_fail_is_found() {
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error("reset"))],
    );
    let honest = expectation("sees = \"stream-error\"\ncondition = [\"reset\"]");
    assert_eq!(
        unnoticed(&honest, &observations, &plain),
        Vec::<String>::new()
    );
    // This is satisfied whatever the target does.
    let empty = expectation("sees = \"stream-error\"\nat-least = 0");
    assert!(!unnoticed(&empty, &observations, &plain).is_empty());
    // The first event never happens, so this forbids nothing.
    let blind = expectation("sees = \"stanza\"\nnever = true\nafter = { sees = \"success\" }");
    assert!(!unnoticed(&blind, &observations, &plain).is_empty());
    let seeing =
        expectation("sees = \"stanza\"\nnever = true\nafter = { sees = \"stream-error\" }");
    assert_eq!(
        unnoticed(&seeing, &observations, &plain),
        Vec::<String>::new()
    );
}

/// The findings for a case in which the target showed this.
fn findings(
    script: &Script,
    observations: &[Observation],
    health: Option<Ailment>,
) -> Vec<Finding> {
    against_script(&ScriptCase {
        script,
        requirements: &["XML-01".to_owned()],
        observations,
        outcome: &Outcome::Established(Method::SaslTls),
        health,
        fill: &str::to_owned,
        undecided: None,
        is_open: &|_| false,
    })
}

#[rstest]
#[case("restricted-xml", None, None)]
#[case("not-well-formed", None, Some(Weight::Should))]
#[case("reset", None, Some(Weight::Must))]
#[case("reset", Some(Weight::Should), Some(Weight::Should))]
#[case("reset", Some(Weight::May), Some(Weight::May))]
fn the_strongest_requirement_decides_what_a_finding_weighs(
    #[case] condition: &str,
    #[case] level: Option<Weight>,
    #[case] weight: Option<Weight>,
) {
    let mut script = Script::clone(&script());
    script.expect[0].level = level;
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error(condition))],
    );
    let weights: Vec<Weight> = findings(&script, &observations, None)
        .iter()
        .map(|finding| finding.weight)
        .collect();
    assert_eq!(weights, Vec::from_iter(weight));
}

#[test]
fn a_target_that_is_dead_afterwards_has_failed() {
    let observations = seen(
        ConnectionKind::Inbound,
        &[(Party::Target, stream_error("restricted-xml"))],
    );
    let found = findings(&script(), &observations, Some(Ailment::Closed));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].weight, Weight::Must);
    assert!(found[0].text.contains("no longer accepts"), "{found:?}");
}

/// A stream with the id `1234` that a partner accepted, and the key that the target sent there.
fn with_key(key: &str) -> Vec<Observation> {
    let header = Element::prefixed("stream", NS_STREAM, "stream").attr("id", "1234");
    let request = dialback::result_request("target.example", "partner.example", key);
    let frames = [(Party::Partner, header), (Party::Target, request)];
    let mut observations = seen(ConnectionKind::Outbound, &frames);
    for observation in &mut observations {
        if observation.by == Party::Partner {
            observation.sees = Sees::Header;
        }
    }
    observations
}

#[test]
fn keys_made_without_a_secret_are_detected() {
    let expect = expectation("sees = \"db-result\"\nkeyed = true");
    let key = |secret| dialback::key(secret, "partner.example", "target.example", "1234");
    let good = with_key(&key("known to nobody"));
    assert_eq!(grade(&expect, &good, &plain), Grade::Met);
    assert_eq!(unnoticed(&expect, &good, &plain), Vec::<String>::new());
    for weak in [key(""), key("secret"), "1234".to_owned()] {
        let grade = grade(&expect, &with_key(&weak), &plain);
        assert!(
            matches!(&grade, Grade::Unmet(why) if why.contains("takes no secret")),
            "{grade:?}"
        );
    }
}

#[rstest]
#[case("00ff", true)]
#[case("00FF\n", true)]
#[case("00ff0", false)]
#[case("00fg", false)]
#[case("", false)]
fn a_text_is_counted_in_hexadecimal_digits(#[case] key: &str, #[case] wanted: bool) {
    let expect = expectation("sees = \"db-result\"\nhex = 4");
    assert_eq!(grade(&expect, &with_key(key), &plain).is_met(), wanted);
}

#[rstest]
// A message without a subject.
#[case("has = [\"subject\"]\nwith.id = \"a1\"", Sign::Wrong)]
// Another message.
#[case("has = [\"subject\"]\nwith.id = \"b1\"", Sign::Missing)]
#[case("never = true", Sign::Wrong)]
#[case("at-least = 2", Sign::Few)]
#[case("on = \"outbound\"", Sign::Missing)]
fn a_finding_says_how_directly_it_shows_a_defect(#[case] condition: &str, #[case] wanted: Sign) {
    let message = Element::new(NS_SERVER, "message").attr("id", "a1");
    let observations = seen(ConnectionKind::Inbound, &[(Party::Target, message)]);
    let expect = expectation(&format!("sees = \"message\"\n{condition}"));
    assert_eq!(sign::sign(&expect, &observations, &plain), wanted);
}

#[test]
fn what_is_there_is_told_by_its_differences() {
    let message = Element::new(NS_SERVER, "message")
        .attr("id", "a1")
        .attr("to", "b@b.example");
    let observations = seen(ConnectionKind::Inbound, &[(Party::Target, message)]);
    let expect = expectation("sees = 'message'\nhas = ['body']\nwith = { id = 'a1', to = 'c@*' }");
    assert_eq!(
        grade(&expect, &observations, &plain),
        Grade::Unmet("not seen; there was message with to='b@b.example', no body".to_owned())
    );
}

#[rstest]
#[case("no-less = { bits = 2048 }", &["2048", "4096"], &["2047", "", "many"])]
#[case("no-more = { bits = 2048 }", &["2048", "-1"], &["2049", "4096"])]
#[case("no-less = { bits = 1 }\nno-more = { bits = 2 }", &["1", "2"], &["0", "3"])]
fn numbers_are_held_to_bounds(#[case] keys: &str, #[case] right: &[&str], #[case] wrong: &[&str]) {
    let expect = expectation(&format!("sees = 'certificate'\n{keys}"));
    let shown = |bits: &str| -> Vec<Observation> {
        let mut eye = Observer::default();
        let session = TlsSession {
            shown: BTreeMap::from([("bits", bits.to_owned())]),
            ..TlsSession::default()
        };
        let happened = [
            EventKind::Opened(ConnectionKind::Inbound),
            EventKind::TlsUp(session),
        ];
        let events = happened.into_iter().map(|kind| Event {
            connection: ConnectionId(1),
            at: Duration::ZERO,
            kind,
        });
        events
            .flat_map(|event| eye.look(&Arc::from("partner"), event.at, &event))
            .collect()
    };
    for bits in right {
        assert_eq!(grade(&expect, &shown(bits), &plain), Grade::Met, "{bits}");
        assert_eq!(unnoticed(&expect, &shown(bits), &plain), [""; 0]);
    }
    for bits in wrong {
        let grade = grade(&expect, &shown(bits), &plain);
        let told = format!("not seen; there was certificate with bits='{bits}'");
        assert_eq!(grade, Grade::Unmet(told));
    }
}
