use std::time::Duration;

use super::*;
use crate::report::fixture;
use crate::verdict::Verdict;

fn args(line: &str) -> Args {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }
    let words = ["run", "--no-out"]
        .into_iter()
        .chain(line.split_whitespace());
    <Only as clap::Parser>::try_parse_from(words).unwrap().args
}

fn quiet(_: &str) -> Result<(), CliError> {
    Ok(())
}

fn play(events: Vec<RunEvent>) -> mpsc::Receiver<RunEvent> {
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        for event in events {
            if sender.send(event).await.is_err() {
                break;
            }
        }
    });
    receiver
}

#[test]
fn failures_outweigh_errors_and_errors_outweigh_passes() {
    let exit_of = |events| Demands::default().exit(&fixture::report(events));
    assert_eq!(exit_of(fixture::generated()), Exit::Expected);
    assert_eq!(exit_of(fixture::run(false)), Exit::Unexpected);
    let mut records = vec![fixture::failed()];
    records[0].verdict = Verdict::Error;
    assert_eq!(exit_of(fixture::gather(records, false)), Exit::Environment);
    let mut none = vec![fixture::failed()];
    none[0].verdict = Verdict::Unsupported;
    assert_eq!(exit_of(fixture::gather(none, false)), Exit::NothingSelected);
    let mut lost = fixture::generated();
    lost.pop();
    assert_eq!(exit_of(lost), Exit::Environment);
}

#[test]
fn a_run_writes_its_report_and_gives_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let args = args(&format!("policies --color never --json {}", file.display()));
    let start: Start = |plan, _, _| {
        let added = plan.jobs.iter().filter(|job| job.added_as_control);
        assert_eq!(plan.jobs.len() - added.count(), 648);
        assert_eq!(plan.deadlines.case, Duration::from_secs(10));
        play(fixture::run(false))
    };
    assert_eq!(run(&args, start, quiet).unwrap(), Exit::Unexpected);
    let text = std::fs::read_to_string(file).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], 4);
    let cases = simulated_partners::persona::builtin().len() * 36;
    assert_eq!(report["cases"].as_array().unwrap().len(), cases);
}

#[test]
fn a_runner_that_goes_away_is_an_error_of_the_harness() {
    let start: Start = |_, _, _| play(Vec::new());
    assert_eq!(
        run(&args("--color never"), start, quiet).unwrap(),
        Exit::Environment
    );
}

#[test]
fn the_command_that_reruns_a_case_has_what_differs_from_the_defaults() {
    assert_eq!(args("").options.rerun().command("a/b"), "s2spec run a/b");
    let options = "--target prosody --mode strict --strict-certificates --seed 7 --timeout 2.5";
    let args = args(&format!("{options} --jobs 3 -v"));
    assert_eq!(
        args.options.rerun().command("a/b"),
        format!("s2spec run a/b {options}")
    );
}

#[test]
fn an_id_that_is_not_there_runs_nothing() {
    let start: Start = |_, _, _| unreachable!("nothing was selected");
    let error = run(&args("personas/row99"), start, quiet).unwrap_err();
    assert_eq!(error.exit(), Exit::NothingSelected);
}

#[test]
fn a_known_failure_is_no_unexpected_result_and_a_known_failure_that_is_gone_is_one() {
    let exit_of = |verdict| {
        let mut record = fixture::failed();
        record.verdict = verdict;
        Demands::default().exit(&fixture::report(fixture::gather(vec![record], false)))
    };
    assert_eq!(exit_of(Verdict::Xfail), Exit::Expected);
    assert_eq!(exit_of(Verdict::Xpass), Exit::Unexpected);
    assert_eq!(exit_of(Verdict::Unstable), Exit::Unexpected);
}

#[test]
fn an_entry_that_no_case_shows_any_more_is_unexpected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.toml");
    let of_exit = |outcome: &str| {
        let entry = format!("outcome = \"{outcome}\"\ncase = \"personas/row07/google-talk/in*\"");
        let text = format!("format = 1\n[[known]]\n{entry}\nwhy = \"a bug\"\n");
        std::fs::write(&file, text).unwrap();
        let args = args(&format!("--baseline {}", file.display()));
        let start: Start = |_, _, _| {
            let mut record = fixture::failed();
            record.verdict = Verdict::Xfail;
            play(fixture::gather(vec![record], false))
        };
        run(&args, start, quiet).unwrap()
    };
    assert_eq!(of_exit("tcp-dialback"), Exit::Expected);
    assert_eq!(of_exit("tls-dialback"), Exit::Unexpected);
}

#[test]
fn a_baseline_with_mistakes_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.toml");
    let start: Start = |_, _, _| unreachable!("the baseline has mistakes");
    let args = args(&format!("--baseline {}", file.display()));
    let error = run(&args, start, quiet).unwrap_err();
    assert_eq!(error.exit(), Exit::Environment);
    std::fs::write(&file, "format = 1\n[[known]]\ncase = \"**\"\n").unwrap();
    let error = run(&args, start, quiet).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.chain().contains("`why` is missing"), "{error}");
}

#[test]
fn a_new_baseline_is_written_of_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.toml");
    let args = args(&format!("--write-baseline {}", file.display()));
    let start: Start = |_, _, _| play(fixture::run(false));
    assert_eq!(run(&args, start, quiet).unwrap(), Exit::Unexpected);
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(text.matches("[[known]]").count(), 1, "{text}");
    assert!(text.contains("case = \"personas/row07/google-talk/inbound\""));
}

#[test]
fn how_often_cases_are_run_follows_from_the_options() {
    use crate::runner::{Repetition, Rounds};
    let repetition = |line: &str| args(line).options.expecting.repetition();
    let number = |n| std::num::NonZeroU32::new(n).unwrap();
    assert_eq!(repetition(""), Repetition::Once);
    assert_eq!(repetition("--retries 0"), Repetition::Once);
    assert_eq!(repetition("--retries 2"), Repetition::Retries(number(2)));
    let rounds = |at_most, until_unexpected| {
        Repetition::Rounds(Rounds {
            at_most,
            until_unexpected,
        })
    };
    assert_eq!(repetition("--repeat 5"), rounds(Some(number(5)), false));
    assert_eq!(repetition("--until-fail"), rounds(None, true));
    assert_eq!(
        repetition("--until-fail --repeat 9"),
        rounds(Some(number(9)), true)
    );
}

#[test]
fn a_rerun_is_held_to_the_same_expectations() {
    let args = args("--strict --baseline it's.toml --repeat 3");
    assert_eq!(
        args.options.rerun().command("a/b"),
        "s2spec run a/b --baseline 'it'\\''s.toml' --strict"
    );
}
