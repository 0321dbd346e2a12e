//! What the suites share: running cases and writing them down.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use s2spec::matrix::{self, Case};
use s2spec::oracle::Profile;
use s2spec::outcome::{Outcome, method_name};
use s2spec::runner::{self, Deadlines, Plan, Record};
use s2spec::target::Target;
use s2spec::target::reference::Reference;
use simulated_partners::persona;

/// Every case of the three sets.
pub fn all_cases() -> Vec<Case> {
    matrix::cases(&persona::builtin())
}

/// Runs cases, with their controls, and gives the records of the cases themselves, by id.
pub fn run(target: Arc<dyn Target>, profile: Profile, selected: &[Case]) -> Vec<Record> {
    let jobs = runner::jobs(&all_cases(), selected, target.as_ref(), profile);
    let plan = Plan {
        jobs,
        target,
        profile,
        deadlines: Deadlines::default(),
        in_flight: 16,
        seed: 7,
        keep_events: true,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let report = runtime.block_on(runner::collect(plan));
    assert_eq!(report.trouble, Vec::<String>::new());
    let mut records: Vec<Record> = report
        .records
        .into_iter()
        .filter(|record| !record.added_as_control)
        .collect();
    records.sort_by(|a, b| a.case.id.cmp(&b.case.id));
    records
}

/// The embedded proxy as it is tested by default.
pub fn reference() -> Arc<dyn Target> {
    Arc::new(Reference {
        strict_certificates: false,
    })
}

/// How a case ended, in a few words.
pub fn ending(record: &Record) -> String {
    match &record.outcome {
        None => format!("- {}", record.why),
        Some(Outcome::Established(method)) => method_name(*method).to_owned(),
        Some(Outcome::Refused(refusal)) => format!("refused {refusal}"),
        Some(Outcome::Stalled(phase)) => format!("stalled {phase:?}"),
    }
}

/// A block a case: outcome, rule, verdict, wire.
pub fn story(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        let policy = record.case.row.policy();
        writeln!(
            text,
            "{} {policy}  {:?}  {}  [{}]\n    {}",
            record.case.row.label(),
            record.verdict,
            ending(record),
            record.expectation.rule,
            record.wire,
        )
        .expect("a String takes all text");
    }
    text
}

/// Asserts a snapshot below `snapshots/`.
pub fn assert_snapshot(folder: &str, name: &str, description: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(description);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
