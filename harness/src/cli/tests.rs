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
    let all = select::all();
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
    let all = select::all();
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
