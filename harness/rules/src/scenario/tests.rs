use rstest::rstest;
use simulated_partners::board::Begins;
use simulated_partners::board::Board;
use simulated_partners::document::Source;
use simulated_partners::persona::{Tls, TlsVersion};

use super::*;
use crate::case::names::Names;
use crate::case::{Domains, Sees};

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
on = "inbound"
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
    let source = Source::new("XML-01-comment.toml", text);
    File::read("xml/XML-01-comment", &source, Catalogue::builtin())
        .map_err(|error| error.to_string())
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
    "there is no requirement XML-99",
    "the area XML has requirements"
)]
#[case("\"XML-01\"]", "\"xml\"]", "`xml` is not a requirement id", "")]
#[case(
    "\"XML-01\"]",
    "\"STR-08\"]",
    "the file is called `XML-01-comment`",
    "`STR-08-…`"
)]
#[case(
    "\"inbound\"",
    "\"sideways\"",
    "unknown word `sideways`",
    "`outbound` or `inbound`"
)]
#[case(
    "\"established\"",
    "\"establishd\"",
    "unknown word `establishd`",
    "did you mean `established`?"
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
    "`restricted-xm` is not a condition of stream-error",
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
    "`never` together with a count",
    "leave one of them out"
)]
#[case(
    "sees = \"stream-error\"\non = \"inbound\"\ncondition = [\"restricted-xml\"]\ntolerated = [\"not-well-formed\"]",
    "sees = \"raised\"\nor = [{ sees = \"stream-error\", on = \"inbound\" }]",
    "nothing is expected of the target",
    "its partner does all of this by itself"
)]
#[case(
    "sees = \"stream-error\"\non = \"inbound\"",
    "sees = \"stream-error\"",
    "met by the end of any connection",
    "`on = \"inbound\"`"
)]
#[case(
    "sees = \"delivered\"\nnever = true",
    "sees = \"closed\"\non = \"inbound\"\nwith = { by = \"*\" }",
    "an end by either side is met by a partner that gives up",
    "`never = true`"
)]
#[case("{ send = \"{unit}\" }", "\"close\", { send = \"{unit}\" }", "", "")]
#[case(
    "{ send = \"{unit}\" }",
    "{ raise = \"delivered\" }",
    "`delivered` is raised by s2spec itself",
    "choose another name"
)]
#[case(
    "\"XML-01\"]",
    "\"XML-01\", \"CRT-31\"]",
    "CRT-31 is registered as unjudgeable",
    "the registry says"
)]
#[case(
    "{ send = \"{unit}\" }",
    "{ wait-for = \"godot\" }",
    "no script raises `godot`",
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
    "row 18 allows no method",
    ""
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\nbugs = [\"B99\"]",
    "there is no known bug `B99`",
    ""
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\ntags = [\"hostle\"]",
    "unknown word `hostle`",
    "did you mean `hostile`?"
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\ncolour = 1",
    "unknown key `colour`",
    "expected"
)]
#[case(
    "direction = \"inbound\"",
    "direction = \"inbound\"\npartner.persona = \"moden\"",
    "there is no persona `moden`",
    "did you mean `modern`?"
)]
fn a_mistake_is_reported_with_its_place_and_what_is_valid(
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
fn every_mistake_in_a_file_is_reported_at_once() {
    let unreadable = r#"format = 1
title = "A comment ends the stream"
requirements = ["XML-01"]
direction = "inbond"
colour = 1
policies = 9

[partner.offer]
tls = "ofered"
extrenal = true

[[reaction]]
when = "established"
do = [{ send = "{unit}" }]

[[expect]]
seees = "stream-eror"
never = "yes"

[[expect]]
condition = ["restricted-xml"]

[control]
bugs = ["B05"]
values.unit = " "

[variants.comment]
values.unit = "<!-- x -->"
partner.offer.dialback = 3

[variants.instruction]
value.unit = "<?x?>"
"#;
    let senseless = r#"format = 1
title = "A comment ends the stream"
requirements = ["XML-01", "XML-01", "XML-99"]
direction = "inbound"
no-controll = "none"

[[reaction]]
when = "established"
do = ["close", { send = "{unti}" }]

[[expect]]
sees = "stream-error"
condition = ["restricted-xm"]

[variants.comment]
values.unit = "<!-- x -->"
partner.persona = "moden"

[variants.instruction]
values.unit = "<?x?>"
policies = [9, 18, 19]
expect = []
"#;
    let told = [unreadable, senseless].map(|text| read(text).expect_err("it has mistakes"));
    insta::assert_snapshot!(told.join("\n\n----\n\n"));
}

#[test]
fn a_variant_says_only_what_differs() {
    let text = r#"format = 1
title = "A stanza gets through"
requirements = ["XML-01"]
direction = "inbound"
partner = { persona = "tls12-only", offer.external = false, certificate.ca = true }
partners.other = { times = 2, dials = true }

[[expect]]
sees = "stanza"

[[expect]]
sees = "delivered"

[variants.a]
title = "with dialback alone"
partner.offer.tls = "none"
partner.certificate.padding = 3
partners.other.domain = "other.example"
partners.third = {}
expect = [{ sees = "answered" }]

[control]
direction = "outbound"
partner.persona = "modern"
"#;
    let cases = cases("xml/XML-01-comment", &file(text), None);
    let [a, control] = [0, 1].map(|at| &cases[at].script);
    assert_eq!(a.title, "A stanza gets through: with dialback alone");
    let main = &a.roles[0];
    let offer = &main.persona.offer;
    assert_eq!((offer.tls, offer.external), (Tls::None, false));
    assert_eq!(offer.tls_versions, [TlsVersion::V12]);
    // A certificate is replaced as a whole.
    let certificate = main.certificate.as_ref().expect("it is written");
    assert_eq!((certificate.ca, certificate.padding), (false, 3));
    let names: Vec<(&str, &str, u16)> = a.roles[1..]
        .iter()
        .map(|role| (&*role.name, &*role.domain, role.times))
        .collect();
    let third = ("third", "third.{domain}", 1);
    assert_eq!(names, [("other", "other.example", 2), third]);
    assert_eq!(a.expect.len(), 1);

    // A control says only what makes it acceptable, and expects the probe to get through.
    let offer = &control.roles[0].persona.offer;
    assert_eq!((offer.tls, offer.external), (Tls::Offered, false));
    assert_eq!(offer.tls_versions, [TlsVersion::V13]);
    assert_eq!(control.expect[0].sees, Sees::Stanza);
    assert_eq!(control.roles[0].dials, Begins::Plain(false));
}

#[test]
fn what_is_only_forbidden_would_never_be_over() {
    let text = CORRECT.replacen(
        "[[expect]]\nsees = \"stream-error\"\non = \"inbound\"\ncondition = [\"restricted-xml\"]\ntolerated = [\"not-well-formed\"]\n\n",
        "",
        1,
    );
    let told = read(&text).expect_err("it has a mistake");
    assert!(told.contains("nothing must be seen"), "{told}");
}

#[test]
fn variants_and_policies_make_cases_and_each_knows_its_control() {
    let text = CORRECT.replacen("direction", "policies = [7, 9]\ndirection", 1);
    let cases = cases("xml/XML-01-comment", &file(&text), None);
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
        let case: &crate::case::Case = &cases[at];
        case.scenario()
            .and_then(|scenario| scenario.control.clone())
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
    let cases = cases("xml/XML-01-comment", &file(&text), None);
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
    let cases = cases("xml/XML-01-comment", &file(CORRECT), None);
    let script = &cases[0].script;
    let first = &script.roles[0].persona.reactions[0];
    assert_eq!(first.texts().collect::<Vec<_>>(), ["<!-- x -->"]);
}

/// The events of a partner that accepted, or dialled, one connection.
#[test]
fn the_secret_is_a_placeholder_where_it_is_known() {
    let text = CORRECT.replace("values.unit = \" \"", "values.unit = \"{secret}\"");
    let cases = cases("xml/XML-01-comment", &file(&text), None);
    let script = &cases[0].script;
    let names = Names::of(
        script,
        Domains::below(script, "case.example"),
        "target.example",
        None,
    );
    let fill = |names: &Names| names.fill("{secret}", "case.example", &Board::default());
    assert_eq!(fill(&names), "{secret}");
    assert_eq!(fill(&names.with_secret(Some("s3cr3t"))), "s3cr3t");
}

#[test]
fn what_the_inner_side_sends_has_to_be_a_stanza() {
    let local = |send: &str| {
        let (head, rest) = CORRECT.split_once("\n[control]").expect("it has one");
        read(&format!(
            "{head}\n[[local]]\nsend = \"{send}\"\n\n[control]{rest}"
        ))
    };
    assert!(local("<message from='juliet@{target}' to='romeo@{domain}' id='{probe}'/>").is_ok());
    assert!(local("{unit}").is_err(), "a comment is none");
    for send in ["<message from='juliet@{target}'", "hello", "<a:message/>"] {
        let told = local(send).expect_err(send);
        assert!(told.contains("can send only a stanza"), "{told}");
        assert!(told.contains("the inner side"), "{told}");
    }
    let raw = |alive: &str| {
        let (head, rest) = CORRECT.split_once("\n[control]").expect("it has one");
        let local = "[[local]]\nraw = true\nsend = \"<message>&</x>\"";
        let (first, more) = head.split_once('\n').expect("it has lines");
        read(&format!(
            "{first}\n{alive}\n{more}\n{local}\n\n[control]{rest}"
        ))
    };
    assert!(raw("alive = false").is_ok(), "it need not be XML");
    let told = raw("").expect_err("the link may be gone");
    assert!(told.contains("set `alive = false`"), "{told}");
}
