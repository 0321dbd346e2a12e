//! Each class of mistake as its reader sees it, with the accepted neighbour.

use super::*;

const GOOD: &str = r#"format = 1
title = "A partner"

[offer]
tls = "offered"
external = true
dialback = true
"#;

/// The report on a text, or nothing where it is correct.
fn report(text: &str) -> String {
    match Persona::parse("mine", "mine.toml", text) {
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
    let persona = Persona::parse("mine", "mine.toml", text).unwrap();
    insta::assert_debug_snapshot!(persona, @"");
}

#[test]
fn refuses_names_that_are_no_part_of_an_id() {
    for name in ["", "Mine", "a b", "../a"] {
        let error = Persona::parse(name, "mine.toml", GOOD).unwrap_err();
        assert!(matches!(error, PersonaError::Name(_)), "{name}");
    }
    Persona::parse("my-2nd", "mine.toml", GOOD).unwrap();
}

#[test]
fn names_the_file_that_cannot_be_read() {
    let error = Persona::load(std::path::Path::new("no/such.toml")).unwrap_err();
    insta::assert_snapshot!(error, @"");
}

#[test]
fn shows_broken_toml() {
    insta::assert_snapshot!(report("format = 1\ntitle = \n"), @"");
}

#[test]
fn shows_a_missing_format() {
    insta::assert_snapshot!(report("title = \"A partner\"\n"), @"");
}

#[test]
fn shows_an_unknown_format_before_unknown_words() {
    insta::assert_snapshot!(report("format = 2\nflavour = \"new\"\n"), @"");
}

#[test]
fn shows_an_unknown_key() {
    insta::assert_snapshot!(report(&GOOD.replace("external", "sasl")), @"");
}

#[test]
fn shows_an_unknown_value() {
    insta::assert_snapshot!(report(&GOOD.replace("offered", "maybe")), @"");
}

#[test]
fn shows_a_value_of_another_type() {
    insta::assert_snapshot!(report(&GOOD.replace("external = true", "external = \"yes\"")), @"");
}

#[test]
fn shows_a_missing_key() {
    insta::assert_snapshot!(report(&GOOD.replace("dialback = true\n", "")), @"");
}

#[test]
fn shows_an_unknown_action() {
    let text = format!("{GOOD}[[reaction]]\nwhen = \"auth\"\ndo = [\"sleep\"]\n");
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_needs_external_without_external() {
    let text = GOOD
        .replace("external = true", "external = false")
        .replace("dialback = true", "dialback = false\nneeds-external = true");
    insta::assert_snapshot!(report(&text), @"");
    assert_eq!(
        report(&text.replace("external = false", "external = true")),
        ""
    );
}

#[test]
fn shows_needs_external_together_with_dialback() {
    let text = format!("{GOOD}needs-external = true\n");
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_external_without_tls() {
    let text = GOOD.replace("offered", "none");
    insta::assert_snapshot!(report(&text), @"");
    assert_eq!(report(&format!("{text}external-on-plaintext = true\n")), "");
    assert_eq!(
        report(&text.replace("external = true", "external = false")),
        ""
    );
}

#[test]
fn shows_external_on_plaintext_without_external() {
    let text = GOOD.replace(
        "external = true",
        "external = false\nexternal-on-plaintext = true",
    );
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_external_without_a_certificate() {
    let text = format!("{GOOD}certificate = \"none\"\n");
    insta::assert_snapshot!(report(&text), @"");
    assert_eq!(
        report(&text.replace("external = true", "external = false")),
        ""
    );
}

#[test]
fn shows_what_nobody_would_see_without_tls() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        + "key = \"p256\"\n";
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_tls_versions_missing_or_named_twice() {
    let text = format!("{GOOD}tls-versions = []\n");
    insta::assert_snapshot!(report(&text), @"");
    let text = format!("{GOOD}tls-versions = [\"1.2\", \"1.2\"]\n");
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_insistence_on_a_namespace_without_dialback() {
    let text =
        GOOD.replace("dialback = true", "dialback = false") + "insists-on-db-namespace = true\n";
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_facts_that_contradict_the_offer() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        .replace("dialback = true", "dialback = false")
        + "[facts]\nauthority = \"unreachable\"\nstarttls = \"refused\"\nexternal = \"refused-kept\"\n";
    insta::assert_snapshot!(report(&text), @"");
    let text = format!(
        "{GOOD}[facts]\nstream = \"no-version\"\n\n[[reaction]]\nwhen = \"header\"\ndo = [{{ header-without = [\"version\"] }}]\n"
    );
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_a_fact_that_nothing_makes_true() {
    let text = format!("{GOOD}[facts]\nexternal = \"refused-kept\"\n");
    insta::assert_snapshot!(report(&text), @"");
    let text = format!("{GOOD}[facts]\nauthority = \"unreachable\"\n");
    assert_eq!(report(&text), "");
}

#[test]
fn shows_a_deviation_that_no_fact_tells_of() {
    let text = format!("{GOOD}[[reaction]]\nwhen = \"auth\"\ndo = [\"close\"]\n");
    insta::assert_snapshot!(report(&text), @"");
    assert_eq!(report(&text.replace("close", "proceed")), "");
    assert_eq!(report(&text.replace("auth", "stanza")), "");
}

#[test]
fn shows_reactions_that_can_never_fire() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        + "[[reaction]]\nwhen = \"starttls\"\ndo = [\"proceed\"]\n\
           [[reaction]]\nwhen = \"auth\"\ndo = [\"proceed\"]\n\
           [[reaction]]\nwhen = \"stanza\"\ndo = [\"ignore\"]\n\
           [[reaction]]\nwhen = \"stanza\"\ndo = [\"close\"]\n";
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_reactions_after_silence_or_without_features() {
    let silent = format!(
        "{GOOD}[facts]\nstream = \"silent\"\n[[reaction]]\nwhen = \"accepted\"\ndo = [\"hold\"]\n\
         [[reaction]]\nwhen = \"stanza\"\ndo = [\"close\"]\n"
    );
    insta::assert_snapshot!(report(&silent), @"");
}

#[test]
fn shows_actions_that_make_no_sense() {
    let text = format!(
        "{GOOD}[facts]\nexternal = \"refused-closed\"\n[[reaction]]\nwhen = \"auth\"\n\
         do = [{{ send = \"<a>{{nick}} {{key}} {{id}}</a>\" }}, \"break-tls\", \"close\"]\n\
         [[reaction]]\nwhen = \"db-result\"\ndo = []\n"
    );
    insta::assert_snapshot!(report(&text), @"");
}

#[test]
fn shows_an_unknown_header_attribute() {
    let text = format!(
        "{GOOD}[facts]\nstream = \"no-id\"\n[[reaction]]\nwhen = \"header\"\n\
         do = [{{ header-without = [\"lang\"] }}, \"features\"]\n"
    );
    insta::assert_snapshot!(report(&text), @"");
    assert_eq!(report(&text.replace("\"lang\"", "\"xml:lang\"")), "");
}

#[test]
fn never_panics_on_any_text() {
    use proptest::prelude::*;
    // Every text is a correct one with a cut and a foreign piece, so that it gets far.
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
