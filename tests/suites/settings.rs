//! The sets `settings` and `failover` against the embedded proxy and its gateway: each case as its rule says, and
//! what that is as a snapshot for each setting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use s2spec::case::{Access, Case, PartnerType, Scope, Set, Settings, Users, What};
use s2spec::record::Record;
use s2spec::runner::Deadlines;
use s2spec::verdict::Verdict;

use crate::support::{
    all_cases, all_cores, assert_snapshot, letter, line, others, prove, reference, run_side_by_side,
};

fn of(set: Set) -> Vec<Case> {
    let all = all_cases().iter();
    all.filter(|case| case.set == set).cloned().collect()
}

#[test]
fn settings_do_what_the_tables_say() {
    holds(Set::Settings);
}

#[test]
fn a_pool_outlives_its_first_member() {
    holds(Set::Failover);
}

fn holds(set: Set) {
    let _cores = all_cores();
    let records = prove(reference(), &of(set));
    assert_eq!(others(&records, &[Verdict::Pass]), Vec::<String>::new());
    let mut areas: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in &records {
        let area = record.result.case.id.split('/').nth(1).unwrap_or_default();
        areas.entry(area).or_default().push(record);
    }
    for (area, records) in areas {
        let title = "What has to be seen in each case of the setting, and the rule";
        assert_snapshot(
            "reference",
            &format!("{set}-{area}"),
            title,
            &story(&records),
        );
    }
}

/// A line for each case, with its rule and what has to be seen; cases in which that is the same share it, named by
/// a letter.
fn story(records: &[&Record]) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut table = String::new();
    let widths = records.iter().map(|record| record.result.case.id.len());
    let width = widths.max().unwrap_or_default();
    for record in records {
        let case = &record.result.case;
        let administration = case.administration().expect("it is of these sets");
        let expect = case.script.expect.iter();
        let mut wanted: Vec<String> = expect.map(|one| format!("   {one}")).collect();
        wanted.extend(
            case.script
                .outcome
                .iter()
                .map(|one| format!("   ends as {one}")),
        );
        let wanted = wanted.join("\n");
        let place = seen.iter().position(|one| *one == wanted);
        let place = place.unwrap_or_else(|| {
            seen.push(wanted);
            seen.len() - 1
        });
        let (_, id) = case.id.split_once('/').expect("its set comes first");
        let rule = administration.rule.id;
        line(
            &mut table,
            &format!(
                "{id:<width$}  {}  {:<4}  {rule}",
                letter(place),
                record.verdict
            ),
        );
    }
    for (place, wanted) in seen.iter().enumerate() {
        line(&mut table, &format!("\n{}\n{wanted}", letter(place)));
    }
    table
}

/// The same cases against a proxy and a gateway that are set otherwise than the case says: as they are delivered, with a
/// federated partner, and a user who may talk to it.
#[test]
fn a_target_that_ignores_its_settings_fails_what_they_change() {
    // Most of them only wait for what never comes.
    let cases: Vec<Case> = of(Set::Settings).into_iter().map(ignored).collect();
    let deadlines = Deadlines {
        case: Duration::from_secs(10),
        patience: Duration::from_secs(5),
        settle: Duration::from_millis(200),
        ..Deadlines::default()
    };
    let records = run_side_by_side(16, deadlines, reference(), &cases);
    let mut story = String::new();
    for record in records.iter().filter(|one| one.verdict != Verdict::Pass) {
        let id = &record.result.case.id;
        line(&mut story, &format!("{id}  {}", record.verdict));
    }
    let title = "The cases that notice a target that ignores its settings";
    assert_snapshot("reference", "settings-ignored", title, &story);
}

/// The case with other settings, and no reload of them, and with the same expectations.
fn ignored(mut case: Case) -> Case {
    let script = Arc::make_mut(&mut case.script);
    let administration = script.administration.as_mut().map(Arc::make_mut);
    let one = administration.expect("it is of these sets");
    let as_delivered = |settings: &Settings| Settings {
        kind: settings.users.is_some().then_some(PartnerType::Federated),
        users: settings.users.is_some().then(|| Users {
            has_contact: true,
            policies: vec![(Scope::Global, Access::ENOUGH)],
            by_invitation: false,
            public_needs_cloud: false,
        }),
        ..Settings::default()
    };
    one.settings = as_delivered(&one.settings);
    for step in &mut one.steps {
        if let What::Reload(settings) = &mut step.what {
            **settings = as_delivered(settings);
        }
    }
    case
}
