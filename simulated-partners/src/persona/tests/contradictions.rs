//! Offers and facts that contradict each other.

use super::*;

#[test]
fn shows_needs_external_without_external() {
    let text = GOOD
        .replace("external = true", "external = false")
        .replace("dialback = true", "dialback = false\nneeds-external = true");
    insta::assert_snapshot!(report(&text), @r"
    error: `needs-external` without `external`
     --> mine.toml:8:18
      |
    6 | external = false
      |            ----- but never has it
    7 | dialback = false
    8 | needs-external = true
      |                  ^^^^ gives up without EXTERNAL
      |
      = help: set `external = true`, or leave `needs-external` out
    ");
    assert_eq!(
        report(&text.replace("external = false", "external = true")),
        ""
    );
}

#[test]
fn shows_needs_external_together_with_dialback() {
    let text = format!("{GOOD}needs-external = true\n");
    insta::assert_snapshot!(report(&text), @r"
    error: `needs-external` together with `dialback`
     --> mine.toml:8:18
      |
    7 | dialback = true
      |            ---- but does it
    8 | needs-external = true
      |                  ^^^^ refuses dialback
      |
      = help: set `dialback = false`, or leave `needs-external` out
    ");
}

#[test]
fn shows_external_without_tls() {
    let text = GOOD.replace("offered", "none");
    insta::assert_snapshot!(report(&text), @r#"
    error: `external` without TLS
     --> mine.toml:6:12
      |
    5 | tls = "none"
      |       ------ but there is no TLS to show one in
    6 | external = true
      |            ^^^^ EXTERNAL needs a certificate
      |
      = help: set `tls = "offered"` or `external = false`; to break RFC 6120
              §6.3.4 on purpose, add `external-on-plaintext = true`
    "#);
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
    insta::assert_snapshot!(report(&text), @r"
    error: `external-on-plaintext` without `external`
     --> mine.toml:7:25
      |
    6 | external = false
      |            ----- EXTERNAL is never offered
    7 | external-on-plaintext = true
      |                         ^^^^
      |
      = help: set `external = true`, or leave `external-on-plaintext` out
    ");
}

#[test]
fn shows_external_without_a_certificate() {
    let text = format!("{GOOD}certificate = \"none\"\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: EXTERNAL without a certificate
     --> mine.toml:8:15
      |
    6 | external = true
      |            ---- EXTERNAL shows the certificate
    7 | dialback = true
    8 | certificate = "none"
      |               ^^^^^^
      |
      = help: choose another `certificate`, or set `external = false`
    "#);
    assert_eq!(
        report(&text.replace("external = true", "external = false")),
        ""
    );
}

#[test]
fn shows_facts_that_are_invisible_without_tls() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        + "key = \"p256\"\n";
    insta::assert_snapshot!(report(&text), @r#"
    error: `key` without TLS
     --> mine.toml:8:7
      |
    5 | tls = "none"
      |       ------ there is no TLS
    ...
    8 | key = "p256"
      |       ^^^^^^ it would never be seen
      |
      = help: set `tls = "offered"`, or leave `key` out
    "#);
}

#[test]
fn shows_tls_versions_missing_or_named_twice() {
    let text = format!("{GOOD}tls-versions = []\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: no TLS version
     --> mine.toml:8:16
      |
    8 | tls-versions = []
      |                ^^
      |
      = help: expected `"1.2"`, `"1.3"` or both; for no TLS at all, set
              `tls = "none"`
    "#);
    let text = format!("{GOOD}tls-versions = [\"1.2\", \"1.2\"]\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: a TLS version is named twice
     --> mine.toml:8:16
      |
    8 | tls-versions = ["1.2", "1.2"]
      |                ^^^^^^^^^^^^^^
      |
      = help: expected `"1.2"`, `"1.3"` or both
    "#);
}

#[test]
fn shows_insistence_on_a_namespace_without_dialback() {
    let text =
        GOOD.replace("dialback = true", "dialback = false") + "insists-on-db-namespace = true\n";
    insta::assert_snapshot!(report(&text), @r"
    error: `insists-on-db-namespace` without `dialback`
     --> mine.toml:8:27
      |
    7 | dialback = false
      |            ----- there is no dialback to insist for
    8 | insists-on-db-namespace = true
      |                           ^^^^
      |
      = help: set `dialback = true`, or leave `insists-on-db-namespace` out
    ");
}

#[test]
fn shows_facts_that_contradict_the_offer() {
    let text = GOOD
        .replace("offered", "none")
        .replace("external = true", "external = false")
        .replace("dialback = true", "dialback = false")
        + "[facts]\nauthority = \"unreachable\"\nstarttls = \"refused\"\nexternal = \"refused-kept\"\n";
    insta::assert_snapshot!(report(&text), @r#"
    error: fact `authority` contradicts the offer
     --> mine.toml:9:13
      |
    7 | dialback = false
      |            ----- no key is ever sent that could be verified
    8 | [facts]
    9 | authority = "unreachable"
      |             ^^^^^^^^^^^^^
      |
      = help: set `dialback = true`, or leave the fact out

    error: fact `starttls` contradicts the offer
      --> mine.toml:10:12
       |
     5 | tls = "none"
       |       ------ STARTTLS is never offered
    ...
    10 | starttls = "refused"
       |            ^^^^^^^^^
       |
       = help: set `tls = "offered"`, or leave the fact out

    error: fact `external` contradicts the offer
      --> mine.toml:11:12
       |
     6 | external = false
       |            ----- EXTERNAL is never offered
    ...
    11 | external = "refused-kept"
       |            ^^^^^^^^^^^^^^
       |
       = help: set `external = true`, or leave the fact out
    "#);
    let text = format!(
        "{GOOD}[facts]\nstream = \"no-version\"\n\n[[reaction]]\nwhen = \"header\"\ndo = [{{ header-without = [\"version\"] }}]\n"
    );
    insta::assert_snapshot!(report(&text), @r#"
    error: fact `stream` contradicts the offer
     --> mine.toml:9:10
      |
    5 | tls = "offered"
      |       --------- without features no STARTTLS can be offered
    ...
    9 | stream = "no-version"
      |          ^^^^^^^^^^^^
      |
      = help: set `tls = "none"`, or leave the fact out
    "#);
}

#[test]
fn shows_a_fact_that_nothing_makes_true() {
    let text = format!("{GOOD}[facts]\nexternal = \"refused-kept\"\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: nothing makes fact `external` true
     --> mine.toml:9:12
      |
    9 | external = "refused-kept"
      |            ^^^^^^^^^^^^^^ needs a reaction to `auth`
      |
      = help: add a `[[reaction]]` with `when = "auth"`, or leave the fact out
    "#);
    let text = format!("{GOOD}[facts]\nauthority = \"unreachable\"\n");
    assert_eq!(report(&text), "");
}

#[test]
fn shows_a_deviation_without_a_fact() {
    let text = format!("{GOOD}[[reaction]]\nwhen = \"auth\"\ndo = [\"close\"]\n");
    insta::assert_snapshot!(report(&text), @r#"
    error: a deviation that no fact covers
     --> mine.toml:9:8
      |
    9 | when = "auth"
      |        ^^^^^^ expected a correct answer here
      |
      = help: name it under `[facts]` as `external`, or end the actions with
              `"proceed"`
    "#);
    assert_eq!(report(&text.replace("close", "proceed")), "");
    assert_eq!(report(&text.replace("auth", "stanza")), "");
}
