//! Each class of mistake as reported, with an accepted neighbour.

mod contradictions;

use super::*;
use crate::document::Source;

const GOOD: &str = r#"format = 1
title = "A partner"

[offer]
tls = "offered"
external = true
dialback = true
"#;

/// The report on a text, or nothing if it is correct.
fn report(text: &str) -> String {
    match Persona::parse("mine", &Source::new("mine.toml", text)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn reads_a_file_with_all_fields() {
    let text = r#"format = 1
title = "Refuses TLS"
seen-in = "nothing"

[offer]
tls = "required"
external = true
dialback = false
needs-external = true
certificate = "expired"
key = "rsa2048"
tls-versions = ["1.3"]

[facts]
starttls = "refused"

[[reaction]]
when = "starttls"
do = [{ send = "<x/>" }, "close"]
"#;
    let persona = Persona::parse("mine", &Source::new("mine.toml", text)).unwrap();
    insta::assert_debug_snapshot!(persona, @r#"
    Persona {
        name: "mine",
        title: "Refuses TLS",
        seen_in: Some(
            "nothing",
        ),
        offer: Offer {
            tls: Required,
            external: true,
            external_on_plaintext: false,
            dialback: false,
            insists_on_db_namespace: false,
            needs_external: true,
            certificate: Expired,
            key: Rsa2048,
            tls_versions: [
                V13,
            ],
        },
        facts: Deviations {
            stream: Normal,
            starttls: Refused,
            external: Accepted,
            authority: Truthful,
        },
        reactions: [
            Reaction {
                when: Starttls,
                on: None,
                stage: None,
                nth: None,
                connection: None,
                actions: [
                    Send(
                        "<x/>",
                    ),
                    Close,
                ],
            },
        ],
    }
    "#);
}

#[test]
fn refuses_names_that_are_no_part_of_an_id() {
    let source = Source::new("mine.toml", GOOD);
    for name in ["", "Mine", "a b", "../a"] {
        let error = Persona::parse(name, &source).unwrap_err().to_string();
        assert!(error.contains("a persona cannot be called"), "{name}");
    }
    Persona::parse("my-2nd", &source).unwrap();
}

#[test]
fn shows_broken_toml() {
    insta::assert_snapshot!(report("format = 1\ntitle = \n"), @r"
    error: a value is missing
     --> mine.toml:2:9
      |
    2 | title = 
      |         ^
    ");
}

#[test]
fn shows_a_missing_format() {
    insta::assert_snapshot!(report("title = \"A partner\"\n"), @r#"
    error: `format` is missing
     --> mine.toml:1:1
      |
    1 | title = "A partner"
      | ^
      |
      = help: begin the file with `format = 1`
    "#);
}

#[test]
fn shows_an_unknown_format_before_unknown_words() {
    insta::assert_snapshot!(report("format = 2\nflavour = \"new\"\n"), @r"
    error: unknown format
     --> mine.toml:1:10
      |
    1 | format = 2
      |          ^
      |
      = help: this version reads `format = 1`
    ");
}

#[test]
fn shows_an_unknown_key() {
    insta::assert_snapshot!(report(&GOOD.replace("external", "sasl")), @r"
    error: `external` is missing
     --> mine.toml:4:1
      |
    4 | [offer]
      | ^^^^^^^
      |
      = help: add `external = true` or `external = false`

    error: unknown key `sasl`
     --> mine.toml:6:1
      |
    6 | sasl = true
      | ^^^^
      |
      = help: expected `tls`, `external`, `external-on-plaintext`, `dialback`,
              `insists-on-db-namespace`, `needs-external`, `certificate`, `key`
              or `tls-versions`
    ");
}

#[test]
fn shows_an_unknown_value() {
    insta::assert_snapshot!(report(&GOOD.replace("offered", "maybe")), @r#"
    error: unknown word `maybe`
     --> mine.toml:5:7
      |
    5 | tls = "maybe"
      |       ^^^^^^^
      |
      = help: expected `none`, `offered`, `required` or `direct`
    "#);
}

#[test]
fn shows_a_value_of_another_type() {
    insta::assert_snapshot!(report(&GOOD.replace("external = true", "external = \"yes\"")), @r#"
    error: expected `true` or `false`
     --> mine.toml:6:12
      |
    6 | external = "yes"
      |            ^^^^^ this is a string
    "#);
}

#[test]
fn shows_a_missing_key() {
    insta::assert_snapshot!(report(&GOOD.replace("dialback = true\n", "")), @r"
    error: `dialback` is missing
     --> mine.toml:4:1
      |
    4 | [offer]
      | ^^^^^^^
      |
      = help: add `dialback = true` or `dialback = false`
    ");
}

#[test]
fn shows_an_unknown_action() {
    let text = format!("{GOOD}[[reaction]]\nwhen = \"auth\"\ndo = [\"sleep\"]\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: unknown word `sleep`
      --> mine.toml:10:7
       |
    10 | do = ["sleep"]
       |       ^^^^^^^
       |
       = help: expected `send`, `send-bytes`, `repeat`, `split`, `flush`,
               `header-without`, `features`, `wait`, `wait-for`, `later`,
               `raise`, `capture`, `await`, `stop-reading`, `shutdown-write`,
               `start-tls`, `close`, `close-tcp`, `reset`, `stay-silent`,
               `no-reply`, `break-tls`, `legacy-tls`, `hello`, `stall-tls`,
               `renegotiate` or `proceed`
    "#);
}

#[test]
fn shows_every_mistake_of_a_file_at_once() {
    let text = r#"format = 1
titel = "A partner"

[offer]
tls = "ofered"
external = "yes"
dialback = true
certificat = "expird"

[facts]
stream = "slow"

[[reaction]]
when = "authh"
do = ["close", { snd = "<x/>" }, { wait = "long" }]
"#;
    insta::assert_snapshot!(report(text));
}

#[test]
fn shows_reactions_that_can_never_fire() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        + "[[reaction]]\nwhen = \"starttls\"\ndo = [\"proceed\"]\n\
           [[reaction]]\nwhen = \"auth\"\ndo = [\"proceed\"]\n\
           [[reaction]]\nwhen = \"stanza\"\ndo = [\"no-reply\"]\n\
           [[reaction]]\nwhen = \"stanza\"\ndo = [\"close\"]\n";
    insta::assert_snapshot!(report(&text), @r#"
    error: this reaction can never fire
     --> mine.toml:9:8
      |
    9 | when = "starttls"
      |        ^^^^^^^^^^ the offer has `tls = "none"`
      |
      = help: leave the reaction out

    error: this reaction can never fire
      --> mine.toml:12:8
       |
    12 | when = "auth"
       |        ^^^^^^ the offer has `external = false`
       |
       = help: leave the reaction out

    error: this reaction can never fire
      --> mine.toml:18:8
       |
    18 | when = "stanza"
       |        ^^^^^^^^ an earlier reaction has the same `when`
       |
       = help: leave the reaction out
    "#);
}

#[test]
fn shows_reactions_after_silence() {
    let silent = format!(
        "{GOOD}[facts]\nstream = \"silent\"\n[[reaction]]\nwhen = \"accepted\"\ndo = [\"stay-silent\"]\n\
         [[reaction]]\nwhen = \"stanza\"\ndo = [\"close\"]\n"
    );
    insta::assert_snapshot!(report(&silent), @r#"
    error: this reaction can never fire
      --> mine.toml:14:8
       |
    14 | when = "stanza"
       |        ^^^^^^^^ by its facts it never answers
       |
       = help: leave the reaction out
    "#);
}

#[test]
fn shows_actions_that_make_no_sense() {
    let text = format!(
        "{GOOD}[facts]\nexternal = \"refused-closed\"\n[[reaction]]\nwhen = \"auth\"\n\
         do = [{{ send = \"<a>{{nick}} {{key}} {{id}}</a>\" }}, \"break-tls\", \"close\"]\n\
         [[reaction]]\nwhen = \"db-result\"\ndo = []\n"
    );
    insta::assert_snapshot!(report(&text), @r#"
    error: unknown placeholder `{nick}`
      --> mine.toml:12:7
       |
    12 | do = [{ send = "<a>{nick} {key} {id}</a>" }, "break-tls", "close"]
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: expected one of `{id}`, `{from}`, `{to}`, `{domain}`, `{target}`,
               `{key}`, `{stream-id}`, `{dialback-key}`

    error: there is no key at `auth`
      --> mine.toml:12:7
       |
    12 | do = [{ send = "<a>{nick} {key} {id}</a>" }, "break-tls", "close"]
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: expected one of `{id}`, `{from}`, `{to}`, `{domain}`, `{target}`,
               `{stream-id}`, `{dialback-key}`

    error: nothing can come after this action
      --> mine.toml:12:46
       |
    12 | do = [{ send = "<a>{nick} {key} {id}</a>" }, "break-tls", "close"]
       |                                              ^^^^^^^^^^^  ------- never done
       |
       = help: make it the last one

    error: not possible at `auth`
      --> mine.toml:12:46
       |
    12 | do = [{ send = "<a>{nick} {key} {id}</a>" }, "break-tls", "close"]
       |                                              ^^^^^^^^^^^
       |
       = help: it belongs to `proceed-sent` or `proceed-received`

    error: a reaction without actions
      --> mine.toml:15:6
       |
    15 | do = []
       |      ^^
       |
       = help: to say nothing, write `do = ["no-reply"]`
    "#);
}

#[test]
fn shows_an_unknown_header_attribute() {
    let text = format!(
        "{GOOD}[facts]\nstream = \"no-id\"\n[[reaction]]\nwhen = \"header\"\n\
         do = [{{ header-without = [\"lang\"] }}, \"features\"]\n"
    );
    insta::assert_snapshot!(report(&text), @r#"
    error: a stream header has no attribute `lang`
      --> mine.toml:12:7
       |
    12 | do = [{ header-without = ["lang"] }, "features"]
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: expected one of `from`, `id`, `to`, `version`, `xml:lang`,
               `xmlns:db`
    "#);
    assert_eq!(report(&text.replace("\"lang\"", "\"xml:lang\"")), "");
}

#[test]
fn never_panics_on_any_text() {
    use proptest::prelude::*;
    // Every text is a correct one with a cut and a foreign piece, so that parsing gets far.
    let whole = format!(
        "{GOOD}[facts]\nexternal = \"refused-kept\"\n[[reaction]]\nwhen = \"auth\"\ndo = [{{ send = \"<é/>\" }}]\n"
    );
    let piece = prop_oneof![
        ".{0,4}",
        Just("\n[[reaction]]\n".to_owned()),
        Just("[]".to_owned()),
        Just("\"none\"".to_owned()),
    ];
    proptest!(|(at in any::<prop::sample::Index>(), length in 0..20usize, piece in piece)| {
        let characters: Vec<char> = whole.chars().collect();
        let at = at.index(characters.len());
        let end = (at + length).min(characters.len());
        let text: String = characters[..at].iter().copied()
            .chain(piece.chars())
            .chain(characters[end..].iter().copied())
            .collect();
        report(&text);
    });
}
