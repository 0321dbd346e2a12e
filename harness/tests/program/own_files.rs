//! Tests with files of a user's own: requirements, personas and scenarios in one folder.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const REQUIREMENTS: &str = "format = 1

[[requirement]]
id = \"MY-01\"
title = \"Nobody is asked to use TLS\"
source = \"our incident of May\"
";

const SHY: &str = "format = 1
title = \"Offers dialback alone\"

[offer]
tls = \"offered\"
external = false
dialback = true
";

/// A correct server takes up STARTTLS, so the second expectation is not met.
fn scenario(head: &str, persona: &str) -> String {
    format!(
        "format = 1\ntitle = \"All stays in clear\"\n{head}direction = \"inbound\"\n\
         no-control = \"nothing is refused\"\npartner.persona = \"{persona}\"\n\n\
         [[expect]]\nsees = \"delivered\"\n\n[[expect]]\nsees = \"proceed\"\nnever = true\n"
    )
}

/// A folder with files of each kind.
fn mine() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it has room");
        std::fs::write(path, text).expect("it has room");
    };
    let named = scenario("requirements = [\"MY-01\"]\n", "shy");
    write("own rules/mine.toml", REQUIREMENTS);
    write("mine/shy.toml", SHY);
    write("mine/MY-01-clear.toml", &named);
    write("mine/clear.toml", &scenario("", "shy.toml"));
    folder
}

fn s2spec(folder: &Path, line: &str) -> Output {
    crate::s2spec()
        .args(line.split(' '))
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env("S2SPEC_REQUIREMENTS", "own rules")
        .output()
        .expect("the program runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("what is printed is text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("what is printed is text")
}

/// What is printed by a command that ends with this code.
fn ends(folder: &Path, line: &str, code: i32) -> String {
    let output = s2spec(folder, line);
    let text = out(&output) + &err(&output);
    assert_eq!(output.status.code(), Some(code), "{line}: {text}");
    text
}

#[test]
fn findings_are_against_ones_own_requirement_or_the_scenario_itself() {
    let folder = mine();
    let line = "run --scenarios mine --personas mine --json - mine";
    let output = s2spec(folder.path(), line);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let of = |id: &str| {
        let cases = report["cases"].as_array().expect("a list");
        let case = cases.iter().find(|case| case["id"] == id);
        case.unwrap_or_else(|| panic!("{id} was run")).clone()
    };
    let named = of("mine/MY-01-clear");
    assert_eq!(named["verdict"], "warn", "a practice only warns");
    assert_eq!(named["partner"]["name"], "shy");
    let clause = &named["findings"][0]["clause"];
    assert_eq!(clause["requirement"], "MY-01");
    assert_eq!(clause["level"], "practice");
    assert_eq!(clause["source"], "our incident of May");
    assert_eq!(clause["text"], "Nobody is asked to use TLS");
    let nameless = of("mine/clear");
    assert_eq!(nameless["verdict"], "fail");
    assert_eq!(nameless["partner"]["name"], "shy");
    let finding = &nameless["findings"][0];
    assert_eq!(finding["against"], "scenario");
    assert_eq!(finding["clause"]["source"], "what the scenario wants");
    assert_eq!(finding["clause"]["text"], "All stays in clear");
}

#[test]
fn a_requirement_of_ones_own_weighs_as_its_file_says() {
    let folder = mine();
    let binding = format!("{REQUIREMENTS}level = \"must\"\n");
    std::fs::write(folder.path().join("own rules/mine.toml"), binding).expect("it has room");
    let line = "run --scenarios mine --personas mine MY-01";
    let text = ends(folder.path(), line, 1);
    let clause = "MY-01 (must, our incident of May), 1 case: Nobody is asked to use TLS";
    assert!(text.contains(clause), "{text}");
}

#[test]
fn a_baseline_knows_what_a_scenario_wants() {
    let folder = mine();
    let run = "run --scenarios mine mine/clear --personas mine";
    ends(
        folder.path(),
        &format!("{run} --write-baseline known.toml"),
        1,
    );
    let path = folder.path().join("known.toml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(
        text.contains("fault = \"what the scenario wants\""),
        "{text}"
    );
    let explained = text.replace("why = \"\"", "why = \"It is so.\"");
    std::fs::write(path, explained).expect("it has room");
    let text = ends(folder.path(), &format!("{run} --baseline known.toml"), 0);
    assert!(text.contains("1 xfail"), "{text}");
}

#[test]
fn the_printed_command_runs_the_case_again() {
    let folder = mine();
    for (place, scenarios) in [
        ("", "mine"),
        ("mine", "."),
        ("mine", "clear.toml"),
        ("mine", "../mine"),
    ] {
        let place = folder.path().join(place);
        let rules = folder.path().join("own rules");
        let run = |command: &str| {
            let mut program = Command::new("sh");
            let output = program
                .args(["-c", command])
                .current_dir(&place)
                .env("COLUMNS", "100")
                .output()
                .expect("the shell runs");
            out(&output) + &err(&output)
        };
        let program = env!("CARGO_BIN_EXE_s2spec");
        let text = run(&format!(
            "{program} run --scenarios {scenarios} --personas {} --requirements '{}' '*/clear'",
            folder.path().join("mine").display(),
            rules.display()
        ));
        let rerun = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("rerun"));
        let rerun = rerun.unwrap_or_else(|| panic!("{text}")).trim();
        let again = run(&rerun.replacen("s2spec", program, 1));
        assert!(again.contains("mine/clear"), "{rerun}: {again}");
        assert!(again.contains("1 case against"), "{rerun}: {again}");
        let explain = rerun.replacen("s2spec run", &format!("{program} explain"), 1);
        let told = run(&explain);
        assert!(
            told.contains("what the scenario wants"),
            "{explain}: {told}"
        );
        let told = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("run it"));
        assert_eq!(told.map(str::trim), Some(rerun));
    }
}

#[test]
fn a_persona_of_ones_own_is_in_the_matrix() {
    let folder = mine();
    let text = ends(folder.path(), "run --personas mine personas/row07/shy", 0);
    assert!(text.contains("2 cases against"), "{text}");
    let text = ends(folder.path(), "list --personas mine/shy.toml **/shy/*", 0);
    assert_eq!(text.lines().count(), 36);
    let text = ends(folder.path(), "list **/shy/*", 4);
    assert!(text.contains("no case matches"), "{text}");
    std::fs::rename(
        folder.path().join("mine/shy.toml"),
        folder.path().join("mine/modern.toml"),
    )
    .expect("both are ours");
    let text = ends(folder.path(), "list --personas mine personas", 2);
    assert!(
        text.contains("there is a persona `modern` already"),
        "{text}"
    );
}

#[test]
fn a_requirement_of_ones_own_is_explained_and_counted() {
    let folder = mine();
    let files = "--scenarios mine --personas mine";
    let text = ends(folder.path(), &format!("explain MY-01 {files}"), 0);
    for part in [
        "Nobody is asked to use TLS",
        "practice",
        "covered by  mine/MY-01-clear",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = ends(folder.path(), &format!("coverage --area MY {files}"), 0);
    assert!(text.contains("1/1"), "{text}");
    let none = ends(folder.path(), "explain MY-02", 4);
    assert!(none.contains("did you mean MY-01"), "{none}");
    let none = ends(folder.path(), "run --requirements mine MY-01", 4);
    assert!(none.contains("no file below mine is"), "{none}");
}

#[test]
fn all_kinds_of_files_are_checked_together() {
    let folder = mine();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("it has room");
    };
    write(
        "target.toml",
        "format = 1\ndomain = \"im.example.org\"\naddress = \"127.0.0.1:5269\"\n\
         dns = \"127.0.0.1:15353\"\n[policy]\nrow = 7\n\
         [ca]\ncertificate = \"ca.crt\"\nkey = \"ca.key\"\n",
    );
    write(
        "known.toml",
        "format = 1\n[[known]]\ncase = \"mine/clear\"\noutcome = \"x\"\nwhy = \"It is so.\"\n",
    );
    assert_eq!(
        ends(folder.path(), "check .", 0),
        "2 scenarios with 2 cases, 1 persona, 1 file of requirements, 1 target file, \
         1 baseline: no mistakes\n"
    );
    let wrong = |name: &str, from: &str, to: &str| {
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).expect("it is ours");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("it has room");
    };
    wrong("known.toml", "mine/clear", "mine/claer");
    wrong("mine/clear.toml", "\"shy.toml\"", "\"shi.toml\"");
    wrong("mine/MY-01-clear.toml", "MY-01", "MY-02");
    wrong("mine/shy.toml", "\"offered\"", "\"offerd\"");
    wrong("own rules/mine.toml", "title", "titel");
    wrong("target.toml", "row = 7", "row = 77");
    insta::assert_snapshot!(ends(folder.path(), "check .", 2));
}
