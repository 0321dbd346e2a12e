use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use simulated_partners::board::Board;
use simulated_partners::event::{Event, Leg, LegKind, Party, What};
use simulated_partners::negotiate::dialback;
use simulated_partners::persona::Mistakes;
use simulated_partners::wire::{Element, Frame, Kind, NS_SERVER, NS_STREAM, NS_STREAMS};

use super::names::Names;
use super::sight::local;
use super::*;

/// A scenario without mistakes.
const CORRECT: &str = r#"format = 1
title = "A comment ends the stream"
requirements = ["XML-01"]
direction = "inbound"

[[reaction]]
when = "established"
do = [{ send = "{unit}" }]

[[expect]]
sees = "stream-error"
condition = ["restricted-xml"]
tolerated = ["not-well-formed"]

[[expect]]
sees = "delivered"
never = true

[control]
values.unit = " "

[variants.comment]
values.unit = "<!-- x -->"
"#;

fn read(text: &str) -> Result<File, String> {
    library::read("xml/XML-01-comment", "XML-01-comment.toml", text)
        .map_err(|mistakes: Mistakes| mistakes.render(false))
}

fn file(text: &str) -> File {
    read(text).expect("it has no mistakes")
}

#[test]
fn a_correct_file_has_no_mistakes() {
    file(CORRECT);
}

#[rstest]
#[case(
    "format = 1",
    "format = 2",
    "unknown format",
    "this version reads `format = 1`"
)]
#[case(
    "\"XML-01\"]",
    "\"XML-99\"]",
    "no requirement is called XML-99",
    "the area XML has rows"
)]
#[case("\"XML-01\"]", "\"xml\"]", "`xml` is no id of a requirement", "")]
#[case(
    "\"XML-01\"]",
    "\"STR-08\"]",
    "the file is called `XML-01-comment`",
    "`STR-08-…`"
)]
#[case(
    "\"inbound\"",
    "\"sideways\"",
    "unknown variant `sideways`",
    "`outbound` or `inbound`"
)]
#[case(
    "\"established\"",
    "\"establishd\"",
    "unknown variant `establishd`",
    "established"
)]
#[case(
    "\"{unit}\"",
    "\"{unti}\"",
    "nothing is called `{unti}`",
    "did you mean `unit`?"
)]
#[case(
    "\"restricted-xml\"",
    "\"restricted-xm\"",
    "`restricted-xm` is no condition of stream-error",
    "did you mean `restricted-xml`?"
)]
#[case(
    "[control]\nvalues.unit = \" \"\n",
    "",
    "a refusal without its control",
    "no-control"
)]
#[case(
    "condition = [\"restricted-xml\"]\n",
    "",
    "`tolerated` without `condition`",
    "name the conditions"
)]
#[case(
    "sees = \"delivered\"",
    "sees = \"delivered\"\nat = \"thief\"",
    "there is no partner `thief`",
    ""
)]
#[case(
    "never = true",
    "never = true\nat-least = 1",
    "`never` beside a number",
    "leave one of them out"
)]
#[case("{ send = \"{unit}\" }", "\"close\", { send = \"{unit}\" }", "", "")]
#[case(
    "{ send = \"{unit}\" }",
    "{ raise = \"delivered\" }",
    "`delivered` is raised by the bench itself",
    "choose another name"
)]
#[case(
    "\"XML-01\"]",
    "\"XML-01\", \"CRT-31\"]",
    "CRT-31 is registered as one that nobody can judge",
    "the registry says"
)]
#[case(
    "{ send = \"{unit}\" }",
    "{ wait-for = \"godot\" }",
    "nobody raises `godot`",
    "raise it in a reaction"
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\npolicies = [19]",
    "there is no row 19",
    "rows 1 to 18"
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\npolicies = [18]",
    "row 18 leaves no method",
    ""
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\nbugs = [\"B99\"]",
    "no known failure is called `B99`",
    ""
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\ncolour = 1",
    "unknown field `colour`",
    "expected"
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\npartner.persona = \"moden\"",
    "there is no persona `moden`",
    "did you mean `modern`?"
)]
fn a_mistake_is_told_with_its_place_and_what_is_valid(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] title: &str,
    #[case] help: &str,
) {
    assert!(CORRECT.contains(right), "{right}");
    let told = read(&CORRECT.replacen(right, wrong, 1)).expect_err("it has a mistake");
    assert!(told.contains(title), "{told}");
    assert!(told.contains(help), "{told}");
    assert!(told.contains("XML-01-comment.toml:"), "{told}");
    assert!(told.contains('^'), "{told}");
}

#[test]
fn what_is_only_forbidden_would_never_be_over() {
    let text = CORRECT.replacen(
        "[[expect]]\nsees = \"stream-error\"\ncondition = [\"restricted-xml\"]\ntolerated = [\"not-well-formed\"]\n\n",
        "",
        1,
    );
    let told = read(&text).expect_err("it has a mistake");
    assert!(told.contains("nothing has to be seen"), "{told}");
}

#[test]
fn variants_and_policies_make_cases_and_each_knows_its_control() {
    let text = CORRECT.replacen("direction", "policies = [7, 9]\ndirection", 1);
    let cases = cases("xml/XML-01-comment", &file(&text)).expect("all personas exist");
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "xml/XML-01-comment/comment/row07",
            "xml/XML-01-comment/comment/row09",
            "xml/XML-01-comment/control/row07",
            "xml/XML-01-comment/control/row09",
        ]
    );
    let control = |at: usize| {
        let case: &crate::matrix::Case = &cases[at];
        case.script
            .as_ref()
            .and_then(|script| script.control_of(&case.id))
    };
    assert_eq!(control(1).as_deref(), Some(ids[3]));
    assert_eq!(control(3), None);
}

#[test]
fn a_variant_with_more_policies_than_its_file_makes_a_case_of_each() {
    let text = CORRECT.replacen(
        "values.unit = \"<",
        "policies = [7, 9]\nvalues.unit = \"<",
        1,
    );
    let cases = cases("xml/XML-01-comment", &file(&text)).expect("all personas exist");
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "xml/XML-01-comment/comment/row07",
            "xml/XML-01-comment/comment/row09",
            "xml/XML-01-comment/control",
        ]
    );
}

#[test]
fn values_of_a_variant_are_put_into_reactions() {
    let cases = cases("xml/XML-01-comment", &file(CORRECT)).expect("all personas exist");
    let script = cases[0].script.as_ref().expect("of a scenario");
    let first = &script.roles[0].persona.reactions[0];
    assert_eq!(first.texts().collect::<Vec<_>>(), ["<!-- x -->"]);
}

/// What a partner sees that accepted, or dialled, one connection.
fn seen(kind: LegKind, frames: &[(Party, Element)]) -> Vec<Sight> {
    let mut eye = Eye::default();
    let name = Arc::from("partner");
    let mut sights = Vec::new();
    let opened = What::Opened(kind);
    let frames = frames.iter().map(|(from, element)| What::Frame {
        from: *from,
        encrypted: false,
        frame: Arc::new(Frame {
            raw: element.to_xml().into_bytes(),
            kind: Kind::Element(element.clone()),
            offset: 0,
        }),
    });
    for (number, what) in [opened].into_iter().chain(frames).enumerate() {
        let at = Duration::from_millis(number as u64);
        let event = Event {
            leg: Leg(1),
            at,
            what,
        };
        sights.extend(eye.look(&name, at, &event));
    }
    sights
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
#[case("not-well-formed", Grade::Tolerated("stream-error is `not-well-formed`, where `restricted-xml` says it exactly".to_owned()))]
#[case("invalid-from", Grade::Unmet("not seen, but with `invalid-from`".to_owned()))]
fn conditions_are_right_or_tolerated_or_wrong(#[case] condition: &str, #[case] wanted: Grade) {
    let sights = seen(
        LegKind::Outgoing,
        &[(Party::Target, stream_error(condition))],
    );
    let expect = expectation(
        "sees = \"stream-error\"\ncondition = [\"restricted-xml\"]\ntolerated = [\"not-well-formed\"]",
    );
    assert_eq!(grade(&expect, &sights, &plain), wanted);
}

#[test]
fn an_alternative_will_do_and_may_be_only_tolerated() {
    let sights = seen(LegKind::Outgoing, &[(Party::Target, stream_error("reset"))]);
    let expect = |warn: &str| {
        expectation(&format!(
            "sees = \"sasl-failure\"\nor = [{{ sees = \"stream-error\"{warn} }}]"
        ))
    };
    assert_eq!(grade(&expect(""), &sights, &plain), Grade::Met);
    assert_eq!(
        grade(&expect(", warn = \"late\""), &sights, &plain),
        Grade::Tolerated("late".to_owned())
    );
    assert!(!grade(&expect(""), &sights[..0], &plain).is_met());
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
#[case("on = \"dialled\"", true)]
#[case("on = \"accepted\"", false)]
#[case("stage = \"authenticated\"", false)]
#[case("at-least = 2", false)]
#[case("at-most = 0", false)]
#[case("after = { sees = \"presence\" }", false)]
#[case("after = { sees = \"presence\", ours = true }", true)]
#[case("before = { sees = \"presence\", ours = true }", false)]
fn a_message_is_looked_at_from_all_sides(#[case] condition: &str, #[case] wanted: bool) {
    let message = Element::new(NS_SERVER, "message")
        .attr("id", "a1")
        .child(Element::new(NS_SERVER, "body").text("hello"));
    let presence = Element::new(NS_SERVER, "presence");
    let sights = seen(
        LegKind::Outgoing,
        &[(Party::Partner, presence), (Party::Target, message)],
    );
    let expect = expectation(&format!("sees = \"message\"\n{condition}"));
    assert_eq!(grade(&expect, &sights, &plain).is_met(), wanted);
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
    assert_eq!(judge::fits(pattern, text), wanted);
}

#[test]
fn stanzas_on_the_local_side_are_told_apart() {
    let stanza = |name: &str, kind: &str| Element::new(NS_SERVER, name).attr("type", kind);
    let sees = |element: Element| local(&element, Duration::ZERO).sees;
    assert_eq!(sees(stanza("iq", "get")), Sees::Delivered);
    assert_eq!(sees(stanza("iq", "result")), Sees::Answered);
    assert_eq!(sees(stanza("message", "error")), Sees::Returned);
}

#[test]
fn an_expectation_that_cannot_fail_is_found() {
    let sights = seen(LegKind::Outgoing, &[(Party::Target, stream_error("reset"))]);
    let honest = expectation("sees = \"stream-error\"\ncondition = [\"reset\"]");
    assert_eq!(unnoticed(&honest, &sights, &plain), Vec::<String>::new());
    // Whatever the target does, this is met.
    let empty = expectation("sees = \"stream-error\"\nat-least = 0");
    assert!(!unnoticed(&empty, &sights, &plain).is_empty());
    // Nothing is after what never comes, so that this forbids nothing.
    let blind = expectation("sees = \"stanza\"\nnever = true\nafter = { sees = \"success\" }");
    assert!(!unnoticed(&blind, &sights, &plain).is_empty());
    let seeing =
        expectation("sees = \"stanza\"\nnever = true\nafter = { sees = \"stream-error\" }");
    assert_eq!(unnoticed(&seeing, &sights, &plain), Vec::<String>::new());
}

#[test]
fn the_strongest_requirement_decides_what_a_breach_means() {
    let cases = cases("xml/XML-01-comment", &file(CORRECT)).expect("all personas exist");
    let script = cases[0].script.as_ref().expect("of a scenario");
    let verdict = |grade: Grade, level: Option<Weight>| {
        let verdicts = Verdicts {
            lines: vec![Line {
                expect: Expect {
                    level,
                    ..script.expect[0].clone()
                },
                grade,
            }],
            alive: None,
            outcome: None,
        };
        judged(&verdicts.breaches(script)).0
    };
    use crate::runner::Verdict;
    let unmet = || Grade::Unmet("not seen".to_owned());
    assert_eq!(verdict(Grade::Met, None), Verdict::Pass);
    assert_eq!(verdict(unmet(), None), Verdict::Fail);
    assert_eq!(verdict(unmet(), Some(Weight::Should)), Verdict::Warn);
    assert_eq!(verdict(unmet(), Some(Weight::May)), Verdict::Pass);
    assert_eq!(
        verdict(Grade::Tolerated("odd".to_owned()), None),
        Verdict::Warn
    );
}

#[test]
fn a_target_that_is_dead_afterwards_has_failed() {
    let cases = cases("xml/XML-01-comment", &file(CORRECT)).expect("all personas exist");
    let script = cases[0].script.as_ref().expect("of a scenario");
    let verdicts = Verdicts {
        lines: Vec::new(),
        alive: Some("takes no connection any more".to_owned()),
        outcome: None,
    };
    let (verdict, why) = judged(&verdicts.breaches(script));
    assert_eq!(verdict, crate::runner::Verdict::Fail);
    assert!(why.contains("not alive"), "{why}");
}

/// A stream with the id `1234` that a partner accepted, and the key that the target sent there.
fn with_key(key: &str) -> Vec<Sight> {
    let header = Element::prefixed("stream", NS_STREAM, "stream").attr("id", "1234");
    let request = dialback::result_request("target.example", "partner.example", key);
    let frames = [(Party::Partner, header), (Party::Target, request)];
    let mut sights = seen(LegKind::Incoming, &frames);
    for sight in &mut sights {
        if sight.by == Party::Partner {
            sight.sees = Sees::Header;
        }
    }
    sights
}

#[test]
fn a_key_that_takes_a_secret_is_told_from_one_that_anybody_could_make() {
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

#[test]
fn the_secret_is_a_placeholder_where_it_is_known() {
    let text = CORRECT.replace("values.unit = \" \"", "values.unit = \"{secret}\"");
    let cases = cases("xml/XML-01-comment", &file(&text)).expect("the persona is there");
    let script = cases[0].script.as_ref().expect("it is a scenario");
    let names = Names::of(script, "case.example", "target.example", None);
    let fill = |names: &Names| names.fill("{secret}", "case.example", &Board::default());
    assert_eq!(fill(&names), "{secret}");
    assert_eq!(fill(&names.with_secret(Some("s3cr3t"))), "s3cr3t");
}
