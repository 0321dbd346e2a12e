use clap::Parser;
use rstest::rstest;

use super::*;
use crate::policy::PolicyNumber;

fn parsed(line: &str) -> Args {
    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }
    let words = ["export"].into_iter().chain(line.split(' '));
    Only::try_parse_from(words).expect("good arguments").args
}

fn files(line: &str) -> Result<Vec<(&'static str, String)>, CliError> {
    exported(&parsed(line), Path::new("/srv/xmpp"))
}

fn text(line: &str) -> String {
    let files = files(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let files = files
        .iter()
        .map(|(name, text)| format!("### {name}\n{text}"));
    files.collect()
}

#[rstest]
#[case("personas/row07/google-talk/inbound --as prosody --side partner")]
#[case("personas/row09/cert-expired/outbound --as ejabberd --side partner")]
#[case("personas/row07/openfire/inbound --as prosody --side partner --lab 127.0.0.1:5300")]
#[case("policies/row07/row13/inbound --as ejabberd --lab 127.0.0.1:5269 --dns 127.0.0.1:53")]
#[case("personas/row07/google-talk/inbound --as lync --target-domain contoso.com")]
#[case("personas/row07/strict-tls/outbound --as openfire --side partner --domain im.example")]
fn a_side_is_printed_with_all_that_it_takes(#[case] line: &str) {
    let name: String = line
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    insta::with_settings!({ omit_expression => true, description => line }, {
        insta::assert_snapshot!(name, text(line));
    });
}

#[test]
fn what_is_only_for_the_lab_is_nowhere_else() {
    for software in ["prosody", "ejabberd"] {
        for row in ["row07", "row08", "row09", "row17"] {
            let line = format!("policies/{row}/row07/inbound --as {software}");
            let text = text(&line);
            for lab in ["127.0.0.1", "15353", "im.", "component", "timeout", "lab:"] {
                let lines = text.lines().find(|one| one.contains(lab));
                assert_eq!(lines, None, "{line}: {lab}");
            }
        }
    }
}

#[rstest]
#[case(
    "policies/row13/row07/inbound --as ejabberd",
    "always offers and tries EXTERNAL"
)]
#[case(
    "policies/row03/row07/inbound --as ejabberd",
    "cannot require certificates while"
)]
#[case(
    "policies/row03/row07/inbound --as prosody",
    "forces TLS where it requires"
)]
#[case(
    "policies/row04/row07/inbound --as prosody",
    "forces TLS where it requires"
)]
#[case(
    "policies/row18/row07/inbound --as prosody",
    "neither TLS nor dialback"
)]
#[case(
    "policies/row12/row07/inbound --as ejabberd",
    "neither TLS nor dialback"
)]
#[case(
    "policies/row15/row07/inbound --as openfire",
    "tries EXTERNAL wherever"
)]
#[case(
    "offers/row07/direct-ext-db-good/inbound --as lync --side partner",
    "no direct TLS"
)]
#[case(
    "offers/row07/offered-noext-db-nocert/inbound --as prosody --side partner",
    "has no certificate"
)]
#[case(
    "personas/row07/handshake-broken/inbound --as prosody --side partner",
    "its handshake is broken"
)]
#[case(
    "personas/row07/authority-unreachable/inbound --as lync --side partner",
    "`s2spec serve authority-unreachable`"
)]
#[case(
    "personas/row07/external-on-plaintext/inbound --as prosody --side partner",
    "EXTERNAL before TLS"
)]
#[case("personas/row07/modern --as prosody", "selects 2 cases")]
#[case(
    "tls/TLS-06-failure-is-no-leave-for-clear-text/control --as prosody",
    "step by step"
)]
#[case(
    "policies/row07/row07/inbound --as prosody --lab 192.0.2.1:5269",
    "on this machine"
)]
#[case(
    "policies/row07/row07/inbound --as prosody --target-domain a..b",
    "is not a domain"
)]
fn what_cannot_be_exported_says_why(#[case] line: &str, #[case] why: &str) {
    let error = files(line).expect_err("it cannot be");
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn the_other_side_of_a_scripted_partner_is_exported() {
    let text = text("personas/row07/handshake-broken/inbound --as prosody");
    assert!(text.contains("s2s_require_encryption = true"), "{text}");
}

/// Each row is exported by some software as a target, and each partner's settings as a partner.
#[test]
fn rows_are_exported_as_far_as_the_software_has_settings_for_them() {
    let rows = |software: &str, side: &str| -> Vec<u8> {
        let is_had = |row: &PolicyNumber| {
            let case = match side {
                "target" => format!("policies/{row}/row09/inbound"),
                _ => format!("policies/row09/{row}/inbound"),
            };
            files(&format!("{case} --as {software} --side {side}")).is_ok()
        };
        let rows = PolicyNumber::all().filter(is_had);
        rows.map(PolicyNumber::number).collect()
    };
    for side in ["target", "partner"] {
        assert_eq!(rows("lync", side).len(), 18, "{side}");
    }
    assert_eq!(
        rows("prosody", "target"),
        [1, 2, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]
    );
    assert_eq!(rows("ejabberd", "target"), [1, 2, 4, 7, 8, 9, 10, 11, 17]);
    // A partner set to row 3 or 4 offers what one set to row 9 or 10 does.
    assert_eq!(
        rows("prosody", "partner"),
        [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17]
    );
    assert_eq!(
        rows("ejabberd", "partner"),
        [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 17]
    );
}

#[test]
fn files_are_written_to_a_folder_and_none_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = format!(
        "policies/row07/row07/inbound --as ejabberd --lab 127.0.0.1:5269 --out {}",
        folder.path().display()
    );
    let args = parsed(&line);
    command(&args).expect("they are written");
    let written = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    assert!(written("ejabberd.yml").contains(&folder.path().display().to_string()));
    assert!(written("inetrc").contains("15353"));
    let again = command(&args).expect_err("they are there");
    assert_eq!(again.exit(), Exit::Usage);
}
