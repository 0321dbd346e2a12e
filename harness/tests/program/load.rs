//! Tests `s2spec load` as a program.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn load(arguments: &[&str]) -> Command {
    let mut command = crate::s2spec();
    command.arg("load").args(arguments).env("CI", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    load(arguments).output().expect("the program runs")
}

/// The report of a load, and its exit code.
fn report(arguments: &[&str]) -> (Value, i32) {
    let output = run(&[arguments, &["--json", "-"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {said}"));
    (report, output.status.code().expect("it ends by itself"))
}

/// What is said of a way.
fn way<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut ways = report["ways"].as_array().expect("a list").iter();
    ways.find(|way| way["way"] == name)
        .unwrap_or_else(|| panic!("nothing went {name}: {report:#}"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn stanzas_are_delivered_both_ways_by_each_method() {
    let (report, code) = report(&["-n", "6", "--rate", "300", "--duration", "1s"]);
    assert_eq!(code, 0, "{report:#}");
    let connections = &report["connections"];
    assert_eq!(
        (
            number(&connections["dialled"]),
            number(&connections["accepted"])
        ),
        (6, 6)
    );
    assert_eq!(number(&connections["handshakes_in"]["count"]), 6);
    assert_eq!(number(&connections["handshakes_out"]["count"]), 6);
    for name in ["inward", "outward"] {
        let way = way(&report, name);
        assert!(number(&way["sent"]) >= 100, "{report:#}");
        assert_eq!(way["sent"], way["arrived"]);
        assert_eq!(way["sent"], way["delivery"]["count"]);
        assert_eq!(number(&way["lost"]), 0);
    }
    if cfg!(target_os = "linux") {
        let usage = &report["usage"];
        assert!(number(&usage["connected"]["memory"]) > 1 << 20, "{usage:#}");
        let more =
            number(&usage["connected"]["descriptors"]) - number(&usage["before"]["descriptors"]);
        assert!(more >= 12, "{usage:#}");
    }
}

#[test]
fn all_that_the_limit_allows_are_held_and_the_next_is_refused_in_words() {
    let arguments = [
        "-n",
        "5",
        "--limit",
        "4",
        "--direction",
        "in",
        "--methods",
        "sasl-tls",
    ];
    let (report, code) = report(&[&arguments[..], &["--duration", "500ms"]].concat());
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(number(&report["connections"]["dialled"]), 4);
    assert_eq!(number(&way(&report, "inward")["lost"]), 0);
    let errors = report["errors"].as_object().expect("an object");
    let kinds: Vec<&String> = errors.keys().collect();
    assert!(
        matches!(&kinds[..], [one] if one.contains("resource-constraint")),
        "{kinds:?}"
    );
}

#[test]
fn churn_leaves_nothing_behind_and_loses_nothing() {
    let arguments = [
        "-n",
        "10",
        "--rate",
        "200",
        "--churn",
        "40",
        "--duration",
        "5s",
    ];
    let (report, code) = report(&arguments);
    assert_eq!(code, 0, "{report:#}");
    assert!(
        number(&report["connections"]["renewed"]) > 100,
        "{report:#}"
    );
    if cfg!(target_os = "linux") {
        let usage = &report["usage"];
        let of = |when: &str, what: &str| number(&usage[when][what]);
        // Some connections are just being opened anew.
        let descriptors = of("after", "descriptors");
        assert!(
            descriptors <= of("connected", "descriptors") + 4,
            "{usage:#}"
        );
        let grown = of("after", "memory").saturating_sub(of("connected", "memory"));
        assert!(grown < 16 << 20, "{usage:#}");
    }
}

#[test]
fn an_interrupted_load_reports_what_was_seen() {
    let mut command = load(&["-n", "3", "--duration", "10m", "--json", "-"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let mut lines = said.lines().map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("stanzas are sent")),
        "it says when it begins"
    );
    let id = i32::try_from(child.id()).expect("an id");
    let id = Pid::from_raw(id).expect("an id");
    kill_process(id, Signal::INT).expect("it runs");
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("it is a pipe");
    stdout.read_to_string(&mut text).expect("it is text");
    let status = child.wait().expect("it ends");
    let report: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(status.code(), Some(3), "{report:#}");
    assert_eq!(report["interrupted"], true);
    assert_eq!(number(&report["connections"]["dialled"]), 3);
    assert_eq!(report["errors"], serde_json::json!({}));
}

#[test]
fn a_relay_of_bytes_shows_what_the_machine_can_do() {
    let (report, code) = report(&["--relay", "-n", "1", "--rate", "max", "--duration", "500ms"]);
    assert_eq!(code, 0, "{report:#}");
    let way = way(&report, "inward");
    assert!(number(&way["arrived"]) > 1000, "{report:#}");
    assert_eq!(number(&way["lost"]), 0);
}

#[test]
fn another_server_is_loaded_in_the_same_way() {
    let arguments = [
        "--target",
        "prosody",
        "-n",
        "3",
        "--rate",
        "60",
        "--duration",
        "1s",
    ];
    let output = run(&[&arguments[..], &["--json", "-"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("prosody is not installed") {
        println!("nothing is tested: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert!(number(&way(&report, "inward")["arrived"]) > 0);
    assert!(number(&way(&report, "outward")["arrived"]) > 0);
}

#[test]
fn wrong_options_are_told_what_is_right() {
    for (arguments, told) in [
        (&["--rate", "0"][..], "or max"),
        (&["--partners", "0"], "1..=10000"),
        (
            &["--methods", "sasl"],
            "expected sasl-tls, tls-dialback, tcp-dialback",
        ),
        (&["--duration", "forever"], "such as 90s, 5m or 1h"),
        (&["--churn", "-1"], "expected connections a second"),
        (&["--direction", "up"], "both, in, out"),
        (
            &["--target", "prosody", "--limit", "5"],
            "--limit is for the embedded proxy",
        ),
        (&["--relay", "--limit", "5"], "cannot be used with"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}
