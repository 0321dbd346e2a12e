//! Tests what a run leaves of a failing case, and that it runs again from that alone.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

const REQUIREMENT: &str = "format = 1

[[requirement]]
id = \"MY-01\"
title = \"Nobody is asked to use TLS\"
source = \"our incident of May\"
level = \"must\"
";

const SHY: &str = "format = 1
title = \"Offers dialback alone\"
offer = { tls = \"offered\", external = false, dialback = true }
";

/// A correct server takes up STARTTLS, so the second expectation is not met.
const SCENARIO: &str = "format = 1
title = \"All stays in clear\"
requirements = [\"MY-01\"]
direction = \"inbound\"
no-control = \"nothing is refused\"
partner.persona = \"shy.toml\"

[[expect]]
sees = \"delivered\"

[[expect]]
sees = \"proceed\"
never = true
";

const BUNDLE: &str = "out/bundles/mine--MY-01-clear.json";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("mine")).expect("it is empty");
    for (name, text) in [
        ("rules.toml", REQUIREMENT),
        ("shy.toml", SHY),
        ("MY-01-clear.toml", SCENARIO),
    ] {
        fs::write(folder.path().join("mine").join(name), text).expect("it has room");
    }
    folder
}

fn s2spec(folder: &Path, line: &str) -> Output {
    crate::s2spec()
        .args(line.split(' '))
        .current_dir(folder)
        .env("COLUMNS", "100")
        .output()
        .expect("the program runs")
}

/// What is printed by a command that ends with this code.
fn ends(folder: &Path, line: &str, code: i32) -> String {
    let output = s2spec(folder, line);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("what is printed is text");
    assert_eq!(output.status.code(), Some(code), "{line}: {text}");
    text
}

/// Runs the scenario, which fails.
fn run(folder: &Path, more: &str) {
    let line = format!("run mine --scenarios mine --requirements mine --out out{more}");
    ends(folder, &line, 1);
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect(name)
}

#[test]
fn a_failing_case_runs_again_where_there_is_nothing_but_its_bundle() {
    let place = folder();
    let folder = place.path();
    run(folder, "");
    let page = read(folder, "out/report.html");
    assert!(page.contains("href=\"bundles/mine--MY-01-clear.json\""));
    let report: Value = serde_json::from_str(&read(folder, "out/report.json")).expect("JSON");
    assert_eq!(
        report["cases"][0]["bundle"],
        "bundles/mine--MY-01-clear.json"
    );
    let text = read(folder, BUNDLE);

    let elsewhere = tempfile::tempdir().expect("a folder");
    let here = elsewhere.path();
    fs::write(here.join("case.json"), &text).expect("it has room");
    let told = ends(here, "replay case.json", 0);
    assert!(
        told.starts_with("same: mine/MY-01-clear on reference-proxy"),
        "{told}"
    );

    // Another end is a difference, and so is another event.
    let other = text.replace("\"weight\": \"fail\"", "\"weight\": null");
    fs::write(here.join("case.json"), other).expect("it has room");
    let told = ends(here, "replay case.json", 1);
    assert!(told.contains("then it"), "{told}");
    let mut other: Value = serde_json::from_str(&text).expect("JSON");
    let lines = &mut other["canonical"]["partner"]["lines"];
    lines[0][1] = "* tcp another event\u{202e}".into();
    fs::write(here.join("case.json"), other.to_string()).expect("it has room");
    let told = ends(here, "replay case.json", 1);
    assert!(told.contains("that differs is number 1:"), "{told}");
    assert!(told.contains("then * tcp another event\\u{202e}"), "{told}");
}

#[test]
fn what_is_no_bundle_or_has_no_target_is_refused() {
    let place = folder();
    let folder = place.path();
    run(folder, "");
    let text = read(folder, BUNDLE);
    let half = &text[..text.len() / 2];
    for (text, why) in [
        (half.to_owned(), "it breaks off in line"),
        ("<html>".to_owned(), "it is HTML and no JSON"),
        (read(folder, "out/report.json"), "which `s2spec report`"),
        (
            text.replace("\"bundle\": 1", "\"bundle\": 2"),
            "its version is 2",
        ),
        (
            text.replace("\"built_in\": \"reference\"", "\"built_in\": \"mine.toml\""),
            "--target says on which server",
        ),
        (
            text.replace("sees = \\\"proceed\\\"", "sees = \\\"proced\\\""),
            "cannot be run",
        ),
    ] {
        fs::write(folder.join("wrong.json"), text).expect("it has room");
        let told = ends(folder, "replay wrong.json", 2);
        assert!(told.contains(why), "{told}");
    }
    ends(folder, "replay none.json", 3);
}

#[test]
fn what_is_kept_and_captured_is_chosen() {
    let place = folder();
    let folder = place.path();
    run(folder, " --keep none");
    assert!(!folder.join("out/bundles").exists());
    let keys = folder.join("keys.txt");
    let output = crate::s2spec()
        .args([
            "run",
            "policies/row15/row15",
            "--out",
            "out",
            "--keep",
            "all",
        ])
        .arg("--capture")
        .env("SSLKEYLOGFILE", &keys)
        .current_dir(folder)
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(0));
    for direction in ["inbound", "outbound"] {
        let name = format!("out/bundles/policies--row15--row15--{direction}");
        let bundle: Value =
            serde_json::from_str(&read(folder, &format!("{name}.json"))).expect("JSON");
        assert!(bundle["canonical"]["partner"]["lines"][3].is_array());
        assert!(bundle["certificates"]["partner"]["key"].is_string());
        let capture = fs::read(folder.join(format!("{name}.pcapng"))).expect("a capture");
        assert_eq!(capture[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    }
    let report: Value = serde_json::from_str(&read(folder, "out/report.json")).expect("JSON");
    assert!(
        report["cases"][0]["transcript"].is_null(),
        "it was not asked for"
    );
    // Partners are servers in one direction, and clients in the other.
    let keys = fs::read_to_string(keys).expect("secrets were logged");
    assert!(
        keys.matches("CLIENT_HANDSHAKE_TRAFFIC_SECRET").count() >= 2,
        "{keys}"
    );
    let told = ends(folder, "run policies/row15/row15 --no-out --capture", 2);
    assert!(told.contains("cannot be used with"), "{told}");
}
