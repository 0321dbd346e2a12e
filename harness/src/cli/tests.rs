use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::judging::Judging;
use super::*;
use crate::case::Case;
use crate::console::Rerun;
use crate::coverage::Covering;
use crate::requirement::Registry;
use crate::scenario::Library;

fn built_in() -> Vec<Case> {
    let suite = select::Sources::default().read();
    suite.expect("nothing has to be read").all()
}

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
        "s2spec run --jobs 257",
        "s2spec -j 100000",
        "s2spec run --timeout 0",
        "s2spec run --timeout 0.4",
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
        "s2spec explian personas",
    ] {
        assert!(parse(line).is_err(), "{line}");
        let words = line.split_whitespace().map(OsString::from);
        assert_eq!(from_arguments(words), Exit::Usage, "{line}");
    }
    // They are asked for their files once it is known what to do.
    for line in ["s2spec proxy", "s2spec gateway"] {
        let words = line.split_whitespace().map(OsString::from);
        assert_eq!(from_arguments(words), Exit::Usage, "{line}");
    }
    for line in [
        "s2spec run --jobs 1",
        "s2spec run --jobs 256",
        "s2spec run --timeout 0.5",
        "s2spec list --long offers --mode strict",
        "s2spec explain personas/row07/modern/inbound --strict-certificates",
        "s2spec serve modern --listen 127.0.0.1:0 --dial --dns 127.0.0.1:0",
        "s2spec proxy --config proxy.toml",
        "s2spec gateway --config gateway.toml",
        "s2spec gateway send --from a@b.example --to c@d.example --body x",
        "s2spec personas -l",
        "s2spec personas --personas shy.toml --personas more",
        "s2spec explain STR-01",
        "s2spec coverage",
        "s2spec coverage --area STR --area tls --unjudgeable",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
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
    let all = built_in();
    let error = select::Wanted::one("personas/row07/gogle-talk/inbound");
    let error = error.among(&all, Registry::builtin()).unwrap_err();
    assert_eq!(error.exit(), Exit::NothingSelected);
    assert!(
        error.chain().contains("personas/row07/google-talk/inbound"),
        "{error}"
    );
    let error = select::Wanted::one("personas/[")
        .among(&all, Registry::builtin())
        .unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    let found = select::Wanted::one("personas/row07/google-talk/*")
        .among(&all, Registry::builtin())
        .unwrap();
    assert_eq!(found.len(), 2);
}

/// The number of cases that ids and tags select, or the error message.
fn selected(all: &[Case], words: &str) -> Result<Vec<String>, String> {
    let cli = parse(&format!("s2spec list {words}")).map_err(|error| error.to_string())?;
    let Some(Command::List(args)) = cli.command else {
        panic!("{words}")
    };
    let found = args
        .wanted
        .among(all, Registry::builtin())
        .map_err(|error| error.to_string())?;
    Ok(found.iter().map(|case| case.id.clone()).collect())
}

#[test]
fn cases_are_selected_by_what_they_judge_and_by_tag() {
    let all = built_in();
    let found = |words: &str| selected(&all, words).unwrap_or_else(|why| panic!("{words}: {why}"));
    let of_file = |file: &str| {
        let below = format!("{file}/");
        let found: Vec<String> = all
            .iter()
            .map(|case| case.id.clone())
            .filter(|id| id == file || id.starts_with(&below))
            .collect();
        assert!(!found.is_empty(), "{file}");
        found
    };
    let refused = of_file("tls/TLS-06-failure-is-no-leave-for-clear-text");
    assert_eq!(found("tls/TLS-06*"), refused);
    for id in refused {
        assert!(found("TLS-06").contains(&id), "{id}");
    }
    assert_eq!(found("tls-06"), found("TLS-06"));
    assert!(found("b02").contains(&"sasl/B02-external-in-clear/row02".to_owned()));

    let hostile = found("--tag hostile");
    assert!(hostile.len() > 1000, "{}", hostile.len());
    assert_eq!(found("scenarios --tag hostile"), hostile);
    let narrowed = found("tls xml/XML-01-comment --tag hostile --tag hostile");
    assert!(!narrowed.is_empty());
    assert!(
        narrowed
            .iter()
            .all(|id| id.starts_with("tls/") && hostile.contains(id))
    );
}

#[test]
fn what_covers_a_requirement_is_selected_by_it() {
    let library = Library::builtin();
    let all = library.cases();
    let covering = Covering::from(library);
    let ids = covering
        .requirements
        .iter()
        .map(|(id, files)| (id.to_string(), files));
    let bugs = covering.bugs.iter().map(|(id, files)| (id.clone(), files));
    for (id, files) in ids.chain(bugs) {
        let cases = selected(&all, &id).unwrap_or_else(|why| panic!("{why}"));
        let found: BTreeSet<&str> = cases
            .iter()
            .filter_map(|id| {
                id.match_indices('/')
                    .nth(1)
                    .map_or(Some(&**id), |(end, _)| id.get(..end))
            })
            .collect();
        let covering: BTreeSet<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(found, covering, "{id}");
    }
}

#[test]
fn a_selection_without_cases_gets_suggestions() {
    let all = built_in();
    let shown: Vec<String> = [
        "security",
        "security/**",
        "security/TLS-06*",
        "t90/**",
        "T90",
        "str/STR-01-initial-header/row01",
        "TLS-99",
        "TLS-6",
        "T09-01",
        "B99",
        "CRT-31",
        "TLS-16-injection-behind-proced",
        "policies --tag hostile",
        "--tag hostle",
    ]
    .into_iter()
    .map(|words| {
        let why = selected(&all, words).expect_err(words);
        format!(
            "{words}\n  {}",
            why.lines().collect::<Vec<_>>().join("\n  ")
        )
    })
    .collect();
    insta::assert_snapshot!(anstream::adapter::strip_str(&shown.join("\n\n")).to_string());
}

#[test]
fn explanation_says_what_why_and_how_to_run_it() {
    let all = built_in();
    for id in [
        "personas/row07/google-talk/inbound",
        "personas/row03/authority-silent/outbound",
        "policies/row06/row01/outbound",
    ] {
        let found = select::Wanted::one(id)
            .among(&all, Registry::builtin())
            .unwrap();
        let text =
            explain::of_case(found[0], &all, Judging::default(), &Rerun::default()).render(80);
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(id.replace('/', "-"), text);
    }
}

#[test]
fn requirements_and_bugs_are_explained_in_any_letter_case() {
    let explained = |id: &str| {
        let found = requirement::explain(id, Registry::builtin(), Library::builtin());
        found.unwrap().unwrap().render(80)
    };
    let row = explained("DB-104");
    assert_eq!(explained("db-104"), row);
    let shown = format!("{row}\n{}", explained("IDL-05"));
    // This test does not depend on which scenarios exist.
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
        "TLS-06*",
        "",
    ] {
        assert!(
            requirement::explain(id, Registry::builtin(), Library::builtin())
                .unwrap()
                .is_none(),
            "{id}"
        );
    }
    let error =
        requirement::explain("STR-99", Registry::builtin(), Library::builtin()).unwrap_err();
    assert_eq!(error.exit(), Exit::NothingSelected);
    assert!(error.to_string().contains("STR-09"), "{error}");
    let error = requirement::explain("b99", Registry::builtin(), Library::builtin()).unwrap_err();
    assert!(error.to_string().contains("B09"), "{error}");
}

#[test]
fn coverage_names_the_existing_areas() {
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
