use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn definition_of_arguments_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_means_run_everything() {
    let cli = parse("s2spec --jobs 4 --seed 9").unwrap();
    assert!(cli.command.is_none());
    assert!(parse("s2spec").unwrap().command.is_none());
}

#[test]
fn options_stand_with_their_command() {
    let run = parse("s2spec run policies personas/row07/** --target prosody --json a.json -v");
    assert!(matches!(run.unwrap().command, Some(Command::Run(_))));
    let mixed = parse("s2spec --jobs 4 list").unwrap_err();
    assert_eq!(mixed.kind(), clap::error::ErrorKind::ArgumentConflict);
}

#[test]
fn nonsense_is_refused_with_usage() {
    for line in [
        "s2spec run --jobs 0",
        "s2spec run --timeout 0",
        "s2spec run --timeout -1",
        "s2spec run --timeout nan",
        "s2spec run --timeout 1e9",
        "s2spec run --target openfire",
        "s2spec run --mode lax",
        "s2spec explain",
        "s2spec coverage --open --json",
        "s2spec coverage --update README.md --area STR",
        "s2spec serve",
        "s2spec serve modern --listen nowhere",
        "s2spec proxy",
        "s2spec explian personas",
    ] {
        assert!(parse(line).is_err(), "{line}");
        let words = line.split_whitespace().map(OsString::from);
        assert_eq!(from_arguments(words), Exit::Usage, "{line}");
    }
    for line in [
        "s2spec run --jobs 1",
        "s2spec run --timeout 0.5",
        "s2spec list --long offers --mode strict",
        "s2spec explain personas/row07/modern/inbound --strict-certificates",
        "s2spec serve modern --listen 127.0.0.1:0 --dial --dns 127.0.0.1:0",
        "s2spec proxy --config proxy.toml",
        "s2spec personas -l",
        "s2spec explain STR-01",
        "s2spec coverage",
        "s2spec coverage --area STR --area tls --unjudgeable",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn help_tells_the_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("4  no case was selected"), "{help}");
}

#[test]
fn every_option_of_run_has_a_variable() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for argument in run.get_arguments().filter(|a| a.get_long().is_some()) {
        let long = argument.get_long().unwrap();
        if long == "help" {
            continue;
        }
        let name = format!("S2SPEC_{}", long.replace('-', "_").to_uppercase());
        let variable = argument.get_env().and_then(|v| v.to_str());
        assert_eq!(variable, Some(name.as_str()));
    }
}

#[test]
fn an_unknown_id_selects_nothing_and_the_nearest_is_named() {
    let all = select::Sources::default().all().expect("built in");
    let error = select::among(&all, &["personas/row07/gogle-talk/inbound".to_owned()]);
    let error = error.unwrap_err();
    assert_eq!(error.exit(), Exit::NothingSelected);
    assert!(
        error.chain().contains("personas/row07/google-talk/inbound"),
        "{error}"
    );
    let error = select::among(&all, &["personas/[".to_owned()]).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    let found = select::among(&all, &["personas/row07/google-talk/*".to_owned()]).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn explanation_says_what_why_and_how_to_run_it() {
    let all = select::Sources::default().all().expect("built in");
    for id in [
        "personas/row07/google-talk/inbound",
        "personas/row03/authority-silent/outbound",
        "policies/row06/row01/outbound",
    ] {
        let found = select::among(&all, &[id.to_owned()]).unwrap();
        let text = explain::text(found[0], &all, run::Judging::default(), 80);
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(id.replace('/', "-"), text);
    }
}

#[test]
fn requirements_and_bugs_are_explained_in_letters_of_any_case() {
    let explained = |id: &str| requirement::explain(id, 80).unwrap().unwrap();
    let row = explained("DB-104");
    assert_eq!(explained("db-104"), row);
    let shown = format!("{row}\n{}", explained("IDL-05"));
    // Which scenarios there are is no matter of this test.
    let fixed: Vec<&str> = shown
        .lines()
        .filter(|line| !line.starts_with("  covered by"))
        .collect();
    insta::assert_snapshot!(anstream::adapter::strip_str(&fixed.join("\n")).to_string());
    assert!(explained("b18").contains("DB-22"));
}

#[test]
fn ids_of_cases_are_not_taken_for_requirements() {
    for id in [
        "personas/row07/modern/inbound",
        "policies",
        "modern",
        "B1",
        "B99",
        "",
    ] {
        assert!(requirement::explain(id, 80).unwrap().is_none(), "{id}");
    }
    let error = requirement::explain("STR-99", 80).unwrap_err();
    assert_eq!(error.exit(), Exit::NothingSelected);
    assert!(error.to_string().contains("STR-09"), "{error}");
}

#[test]
fn coverage_names_the_areas_that_there_are() {
    let words = |line: &str| {
        line.split_whitespace()
            .map(OsString::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        from_arguments(words("s2spec coverage --area XMP")),
        Exit::Usage
    );
    assert_eq!(
        from_arguments(words("s2spec coverage --area xml --json")),
        Exit::Expected
    );
}

#[test]
fn coverage_updates_only_a_file_with_a_place_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let with = folder.path().join("with.md");
    let without = folder.path().join("without.md");
    let text = format!("{}\n{}\n", crate::coverage::START, crate::coverage::END);
    std::fs::write(&with, text).unwrap();
    std::fs::write(&without, "# Nothing\n").unwrap();
    let update = |path: &std::path::Path| {
        let words = ["s2spec", "coverage", "--update"].map(OsString::from);
        from_arguments(words.into_iter().chain([path.into()]))
    };
    assert_eq!(update(&with), Exit::Expected);
    assert!(std::fs::read_to_string(&with).unwrap().contains("| STR |"));
    assert_eq!(update(&without), Exit::Usage);
    assert_eq!(std::fs::read_to_string(&without).unwrap(), "# Nothing\n");
    assert_eq!(update(&folder.path().join("none.md")), Exit::Environment);
}
