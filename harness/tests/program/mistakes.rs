//! Tests what the program says of mistakes: where they stand, before anything is run, and with one exit code.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A scenario that the embedded proxy fails: it takes up STARTTLS.
const CLEAR: &str = "format = 1
title = \"All stays in clear\"
direction = \"inbound\"
no-control = \"nothing is refused\"
partner.persona = \"modern\"

[[expect]]
sees = \"delivered\"

[[expect]]
sees = \"proceed\"
never = true
";

fn place() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn s2spec(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = crate::s2spec();
    command
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "200");
    command
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let place = place();
    let here = place.path();
    for (variable, value, arguments, option) in [
        ("S2SPEC_JOBS", "abc", &["run", "ping"][..], "--jobs"),
        ("S2SPEC_TARGET", "nope", &["list"], "--target"),
        ("S2SPEC_NO_OUT", "1", &["run", "--out", "x"], "--no-out"),
        ("S2SPEC_RATE", "x", &["load"], "--rate"),
    ] {
        let (code, said) = ended(s2spec(here, arguments).env(variable, value));
        assert_eq!(code, Some(2), "{said}");
        let tip = format!("the environment variable {variable} gives {option}");
        assert!(said.contains(&tip), "{said}");
    }
    let mut given = s2spec(here, &["run", "ping", "--jobs=abc"]);
    let (_, said) = ended(given.env("S2SPEC_JOBS", "2"));
    assert!(!said.contains("variable"), "an argument gives it: {said}");
    std::fs::write(
        here.join("s2spec.toml"),
        "format = 1\n[options]\njobs = 9999\njson = \"x.json\"\n",
    )
    .expect("the folder is ours");
    let (code, said) = ended(&mut s2spec(here, &["run", "ping"]));
    assert_eq!(code, Some(2), "{said}");
    for part in [
        "s2spec.toml:3:8",
        "expected a number from 1 to 256",
        "s2spec.toml:4:1",
        "`json` is of a single run: give --json as an argument",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Where the doctor and `learn` have an option of the same name and another meaning, the file does not set it.
#[test]
fn a_project_sets_only_what_means_the_same() {
    let place = place();
    std::fs::write(
        place.path().join("s2spec.toml"),
        "format = 1\n[options]\npolicy = \"7,13\"\nout = \"reports\"\n",
    )
    .expect("the folder is ours");
    for command in ["doctor", "learn"] {
        let (code, said) = ended(&mut s2spec(place.path(), &[command, "--policy", "77"]));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("invalid value '77'"), "{said}");
        let (_, said) = ended(&mut s2spec(place.path(), &[command, "--target", "no.toml"]));
        assert!(
            said.contains("cannot read the target file no.toml"),
            "{said}"
        );
    }
}

/// docs/verdicts.md has the rule: what cannot be read or written ends with 3.
#[test]
fn a_file_that_is_not_there_ends_each_command_with_3() {
    let place = place();
    let case = "personas/row07/modern/inbound";
    for arguments in [
        "run ping --target no.toml",
        "run ping --baseline no.toml",
        "run ping --scenarios no",
        "run ping --personas no.toml",
        "run ping --requirements no.toml",
        "run ping --json no/x.json",
        "run ping --events no/x.json",
        "run ping --write-baseline no/x.toml",
        "run @no.txt",
        "list ping --skip @no.txt",
        "list --target no.toml",
        "explain ping --scenarios no",
        "check no.toml",
        "coverage --scenarios no",
        "coverage --update no.md",
        "doctor --target no.toml",
        "doctor --json no/x.json",
        "serve no.toml",
        "serve modern --trust no.pem",
        "serve modern --ca no/ca.crt --ca-key no/ca.key",
        "load --target no.toml",
        "load --json no/x.json",
        "report no.json",
        "replay no.json",
        "diff no.json no.json",
        "merge no.json",
        "compare no.json no.json",
        "compare reference no.toml",
        "personas --personas no.toml",
        "predict no.toml row07",
        "learn --target no.toml",
        "learn --out no/x.toml",
        "init --domain a.example --out no/x.toml",
        "cert a.example --target no.toml",
        "cert a.example --out no",
        "proxy --config no.toml",
        "gateway --config no.toml",
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let (code, said) = ended(&mut s2spec(place.path(), &words));
        assert_eq!(code, Some(3), "{arguments}: {said}");
        assert!(said.contains("no"), "{arguments}: {said}");
    }
    let words = ["export", case, "--as", "prosody", "--personas", "no.toml"];
    assert_eq!(ended(&mut s2spec(place.path(), &words)).0, Some(3));
    let left = std::fs::read_dir(place.path()).expect("it is there");
    assert_eq!(left.count(), 0, "nothing was begun");
}

#[test]
fn a_file_in_the_place_of_a_folder_is_refused_before_the_run() {
    let place = place();
    std::fs::write(place.path().join("file"), "").expect("the folder is ours");
    for arguments in [
        "run ping --out file",
        "compare reference reference --out file -- ping",
        "man --out file",
    ] {
        let words: Vec<&str> = arguments.split(' ').collect();
        let (code, said) = ended(&mut s2spec(place.path(), &words));
        assert_eq!(code, Some(2), "{arguments}: {said}");
        assert_eq!(said, "error: file is a file; --out names a folder\n");
    }
}

#[test]
fn all_that_is_compared_is_read_before_the_first_run() {
    let place = place();
    for second in ["no.toml", "no.json"] {
        let words = ["compare", "reference", second, "--", "ping"];
        let (code, said) = ended(&mut s2spec(place.path(), &words));
        assert_eq!(code, Some(3), "{said}");
        assert!(!said.contains("reference:"), "{said}");
    }
    let words = ["compare", "reference", "prosody", "--", "--jobs", "0"];
    let (code, said) = ended(&mut s2spec(place.path(), &words));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("error: invalid value '0'"), "{said}");
}

#[test]
fn names_of_files_give_a_terminal_no_orders() {
    let place = place();
    let name = "a\u{1b}[31m\u{202e}\n.toml";
    std::fs::write(place.path().join(name), "wrong = 1\n").expect("the folder is ours");
    for arguments in [
        &["serve", name][..],
        &["check", name],
        &["run", "--target", name],
        &["run", "--baseline", name],
        &["proxy", "--config", name],
        &["gateway", "--config", name],
        &["report", name],
    ] {
        let (code, said) = ended(&mut s2spec(place.path(), arguments));
        assert_eq!(code, Some(2), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
        assert!(said.contains("[31m"), "{said}");
    }
}

#[test]
fn a_file_for_secrets_that_cannot_be_written_is_named_once() {
    let place = place();
    let run = |file: &str| {
        let words = ["compare", "reference", "reference", "--", "ping"];
        ended(s2spec(place.path(), &words).env("SSLKEYLOGFILE", file))
    };
    let (code, said) = run("no/keys.log");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("SSLKEYLOGFILE").count(), 1, "{said}");
    assert!(
        said.contains("no/keys.log, which cannot be written"),
        "{said}"
    );
    let (_, said) = run("keys.log");
    assert!(!said.contains("SSLKEYLOGFILE"), "{said}");
}

#[test]
fn github_is_told_what_failed_wherever_the_report_goes() {
    let place = place();
    std::fs::create_dir(place.path().join("mine")).expect("the folder is ours");
    std::fs::write(place.path().join("mine/clear.toml"), CLEAR).expect("the folder is ours");
    for out in ["--no-out", "--out=report"] {
        let words = ["run", "mine", "--scenarios", "mine", out];
        let mut run = s2spec(place.path(), &words);
        run.env("GITHUB_ACTIONS", "true");
        let (code, said) = ended(run.env("GITHUB_STEP_SUMMARY", "summary.md"));
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(said.matches("::error title=").count(), 1, "{said}");
    }
    let summary = std::fs::read_to_string(place.path().join("summary.md"));
    let summary = summary.expect("it was written");
    assert_eq!(summary.matches("## s2spec").count(), 2, "{summary}");
}

#[test]
fn what_failed_in_a_policy_is_run_again_in_it_or_in_another() {
    let place = place();
    std::fs::create_dir(place.path().join("mine")).expect("the folder is ours");
    std::fs::write(place.path().join("mine/clear.toml"), CLEAR).expect("the folder is ours");
    let run = |more: &[&str]| {
        let words = [&["run", "--scenarios", "mine"], more].concat();
        ended(&mut s2spec(place.path(), &words))
    };
    for (more, ran) in [
        (&["mine", "--policy", "7"][..], "mine/clear/row07"),
        (&["--failed"], "mine/clear/row07"),
        (&["--failed", "--policy", "7"], "mine/clear/row07"),
        (&["--failed", "--policy", "13"], "mine/clear/row13"),
        (&["mine/clear/row07"], "mine/clear/row07"),
    ] {
        let (code, said) = run(more);
        assert_eq!(code, Some(1), "{more:?}: {said}");
        assert!(said.contains(ran), "{more:?}: {said}");
        assert!(said.contains("1 case against"), "{more:?}: {said}");
    }
    let (code, said) = ended(&mut s2spec(place.path(), &["run", "--failed"]));
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("1 case of the last run cannot be selected"),
        "{said}"
    );
}

#[test]
fn parts_are_put_together_with_their_bundles_and_only_once() {
    let place = place();
    std::fs::create_dir(place.path().join("mine")).expect("the folder is ours");
    for name in ["one", "two"] {
        let path = place.path().join(format!("mine/{name}.toml"));
        std::fs::write(path, CLEAR).expect("the folder is ours");
    }
    for part in ["1", "2"] {
        let shard = format!("--shard={part}/2");
        let words = ["run", "mine", "--scenarios", "mine", &shard, "--out", part];
        assert_eq!(ended(&mut s2spec(place.path(), &words)).0, Some(1));
    }
    let merge = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        ended(&mut s2spec(place.path(), &words))
    };
    let (code, said) = merge("merge 1/report.json 2/report.json --out whole");
    assert_eq!(code, Some(0), "{said}");
    for name in ["one", "two"] {
        let bundle = format!("bundles/mine--{name}.json");
        assert!(place.path().join("whole").join(&bundle).is_file(), "{said}");
        let page = std::fs::read_to_string(place.path().join("whole/report.json"));
        assert!(page.expect("it was written").contains(&bundle));
    }
    let (code, said) = merge("merge 1/report.json 2/report.json --no-out --json whole.json");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the bundles stay beside the parts"), "{said}");
    let (code, said) = merge("merge 1/report.json 1/report.json --out twice");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("1/report.json is no part of the same run: mine/one"),
        "{said}"
    );
    assert!(!place.path().join("twice").exists());
}
