//! The conformance suite against the embedded proxy, and tests that each scenario proves something.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use s2spec::case::{Case, Direction, Set};
use s2spec::lab::Lab;
use s2spec::record::Record;
use s2spec::requirement::{Registry, RequirementId};
use s2spec::runner::Deadlines;
use s2spec::scenario::{Catalogue, Library, schema};
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use simulated_partners::document::Source;
use tokio::net::TcpListener;

use crate::support::{
    all_cases, all_cores, assert_snapshot, others, prove, reference, root, run_side_by_side,
};

fn scenarios(wanted: impl Fn(&Case) -> bool) -> Vec<Case> {
    let all = all_cases().iter();
    all.filter(|case| case.set == Set::Scenarios && wanted(case))
        .cloned()
        .collect()
}

fn area(record: &Record) -> &str {
    record.result.case.id.split('/').next().unwrap_or_default()
}

#[test]
fn the_embedded_proxy_keeps_every_requirement_and_every_expectation_can_fail() {
    let _cores = all_cores();
    let records = prove(reference(), &scenarios(|_| true));
    let wrong = others(&records, &[Verdict::Pass, Verdict::Unsupported]);
    assert_eq!(wrong, Vec::<String>::new());

    let mut areas: BTreeMap<&str, String> = BTreeMap::new();
    for record in &records {
        let story = areas.entry(area(record)).or_default();
        // How far it got before all expected events were seen does not depend on the target.
        let end = match record.verdict {
            Verdict::Unsupported => format!("unsupported: {}", record.why),
            _ => "pass".to_owned(),
        };
        let _ = writeln!(story, "{:<60} {end}", record.result.case.id);
    }
    for (area, story) in areas {
        assert_snapshot(
            "reference",
            &format!("scenarios-{area}"),
            "What becomes of each scenario of the area",
            &story,
        );
    }
}

#[test]
fn a_target_that_says_nothing_meets_no_scenario() {
    // Outcomes that vary: the partner that stops reading is waited for.
    let mut told = BTreeSet::new();
    let mut first_of_its_file = |case: &Case| {
        let scenario = case.scenario().expect("it is of a scenario");
        told.insert(scenario.file.clone())
    };
    let mut inbound = scenarios(|case| case.direction == Direction::Inbound);
    inbound.retain(|case| first_of_its_file(case));
    let deadlines = Deadlines {
        case: Duration::from_millis(400),
        patience: Duration::from_millis(200),
        settle: Duration::from_millis(100),
        ..Deadlines::default()
    };
    // All of them only wait.
    let mut records = run_side_by_side(400, deadlines, Arc::new(Deaf(reference())), &inbound);
    records.retain(|record| !record.result.added_as_control);
    assert_eq!(records.len(), inbound.len());
    let content: Vec<&str> = records
        .iter()
        .filter(|record| record.result.findings().is_empty())
        .filter(|record| record.verdict != Verdict::Unsupported)
        .map(|record| record.result.case.id.as_str())
        .collect();
    assert_eq!(content, Vec::<&str>::new());
}

/// Accepts connections and says nothing on them; the proxy behind it is never reached.
struct Deaf(Arc<dyn Target>);

impl Target for Deaf {
    fn name(&self) -> String {
        "a deaf server".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        self.0.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let (running, stop) = self.0.start(lab, group, cases).await?;
            let trouble = |error: std::io::Error| StartError::Environment(error.to_string());
            let listener = TcpListener::bind("127.0.0.1:0").await.map_err(trouble)?;
            let address = listener.local_addr().map_err(trouble)?;
            let deaf = tokio::spawn(async move {
                let mut held = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    held.push(stream);
                }
            });
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    deaf.abort();
                    stop().await
                })
            });
            Ok((Running { address, ..running }, stop))
        })
    }
}

#[test]
fn examples_of_the_documentation_are_scenarios() {
    let text = std::fs::read_to_string(root().join("scenarios/README.md")).expect("it is there");
    let mut examples = Vec::new();
    for block in text.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap_or_default();
        if !example.starts_with("format = 1") {
            continue;
        }
        let id = example.split('"').nth(3).expect("title, then requirements");
        examples.push(Source::new(&format!("examples/{id}-example.toml"), example));
    }
    assert_eq!(examples.len(), 5);
    let (library, wrong) = Library::read(&examples, Catalogue::builtin());
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(library.len(), examples.len());
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = root().join("scenarios/scenario.schema.json");
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == schema(),
        "out of date: cargo run -p s2spec -- check --schema > scenarios/scenario.schema.json"
    );
}

#[test]
fn every_scenario_lies_in_the_folder_of_its_area() {
    for (name, file) in Library::builtin().files() {
        let (folder, stem) = name.split_once('/').expect("it lies in a folder");
        let mut ids = file.plain.requirements.iter();
        // A file named after a bug lies in the area of the bug's first requirement.
        let id = ids
            .find(|id| stem.starts_with(&format!("{id}-")))
            .unwrap_or(&file.plain.requirements[0]);
        let row: RequirementId = id.parse().expect("it is checked");
        let area = Registry::builtin().area(row.area());
        assert_eq!(area.expect("it is checked").folder, folder, "{name}");
    }
}

#[test]
fn every_known_bug_is_hunted_by_name() {
    let named: BTreeSet<&str> = Library::builtin()
        .files()
        .flat_map(|(_, file)| file.plain.bugs.iter().map(String::as_str))
        .collect();
    let missing: Vec<&str> = Registry::builtin()
        .bugs()
        .iter()
        .map(|bug| bug.id.as_str())
        .filter(|id| !named.contains(id))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
