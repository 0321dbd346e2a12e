//! Puts the reports of the parts of one run together.
//!
//! It works on the documents as they are, so that nothing gets lost that only newer versions know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::json::SCHEMA;

/// Why reports do not belong together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotOneRun {
    /// They were made differently.
    #[error("its {field} is {other}, and in the first report {first}")]
    Differ {
        /// What differs.
        field: &'static str,
        /// Its value in the first report.
        first: String,
        /// Its value in another one.
        other: String,
    },
    /// A case was run by two of them, and ended differently.
    #[error("{0} has another verdict in it than in one before it")]
    Ambiguous(String),
    /// A case was selected in two of them.
    #[error("{0} was selected in one before it, too: each part of a run (`--shard`) has others")]
    Twice(String),
    /// They are of another version than the one that is written.
    #[error("`schema` is {0}; only reports of schema {SCHEMA} are put together")]
    Schema(Value),
}

/// One report with the cases of all. Each text is that of a report that can be read.
///
/// # Errors
/// When they are not parts of one run: the number of the first that is none, from 0, and why.
pub fn merge(reports: &[Value]) -> Result<Value, (usize, NotOneRun)> {
    let Some(first) = reports.first() else {
        return Ok(Value::Null);
    };
    for (at, other) in reports.iter().enumerate() {
        alike(first, other).map_err(|why| (at, why))?;
    }
    let cases = cases(reports)?;
    let mut whole = first.clone();
    whole["summary"] = summary(reports, &cases);
    whole["cases"] = cases.into_values().cloned().collect();
    let without_bundle = reports
        .iter()
        .filter_map(|one| one["without_bundle"].as_u64());
    let without_bundle: u64 = without_bundle.sum();
    if without_bundle > 0 {
        whole["without_bundle"] = without_bundle.into();
    }
    for field in ["partial", "interrupted", "enough"] {
        whole[field] = reports.iter().any(|one| one[field] == true).into();
    }
    for field in ["breaches", "trouble"] {
        whole[field] = lines(reports, field).into_iter().collect();
    }
    whole["unneeded"] = unneeded(reports);
    whole["causes"] = causes(reports);
    whole["requirements"] = requirements(reports);
    whole["times"] = times(reports);
    Ok(whole)
}

/// Whether another report can be of the run of the first.
fn alike(first: &Value, other: &Value) -> Result<(), NotOneRun> {
    if other["schema"] != SCHEMA {
        return Err(NotOneRun::Schema(other["schema"].clone()));
    }
    for (field, place) in [
        ("version of s2spec", "/tool/version"),
        ("target", "/target"),
        ("seed", "/seed"),
        ("number of rounds", "/rounds"),
    ] {
        let [first, other] = [first, other].map(|one| one.pointer(place).unwrap_or(&Value::Null));
        if other != first {
            return Err(NotOneRun::Differ {
                field,
                first: first.to_string(),
                other: other.to_string(),
            });
        }
    }
    Ok(())
}

/// The items of a list of all reports.
fn items<'a>(reports: &'a [Value], field: &str) -> impl Iterator<Item = &'a Value> {
    reports
        .iter()
        .flat_map(move |one| one[field].as_array().into_iter().flatten())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// All cases by id. One that was selected in a part may have been the control of another.
fn cases(reports: &[Value]) -> Result<BTreeMap<&str, &Value>, (usize, NotOneRun)> {
    let mut cases: BTreeMap<&str, &Value> = BTreeMap::new();
    let is_selected = |case: &Value| case["added_as_control"] == false;
    for (at, report) in reports.iter().enumerate() {
        for case in items(std::slice::from_ref(report), "cases") {
            let id = text(case, "id");
            match cases.get(id) {
                Some(known) if is_selected(known) && is_selected(case) => {
                    return Err((at, NotOneRun::Twice(id.to_owned())));
                }
                Some(known) if known["verdict"] != case["verdict"] => {
                    return Err((at, NotOneRun::Ambiguous(id.to_owned())));
                }
                Some(known) if is_selected(known) => {}
                _ => {
                    cases.insert(id, case);
                }
            }
        }
    }
    Ok(cases)
}

fn summary(reports: &[Value], cases: &BTreeMap<&str, &Value>) -> Value {
    // All counts of verdicts are there, also those that are 0.
    let mut summary: Map<String, Value> = reports[0]["summary"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (name, count) in &mut summary {
        let of_verdict = cases.values().filter(|case| text(case, "verdict") == name);
        *count = of_verdict.count().into();
    }
    let controls = cases
        .values()
        .filter(|case| case["added_as_control"] == true);
    summary.insert("selected".to_owned(), cases.len().into());
    summary.insert("run".to_owned(), cases.len().into());
    summary.insert("controls".to_owned(), controls.count().into());
    summary.insert("strengths".to_owned(), strengths(reports));
    summary.into()
}

/// Cases that failed or warned are controls so rarely that what was counted in each part is added.
fn strengths(reports: &[Value]) -> Value {
    let mut sums: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for report in reports {
        let strengths = report["summary"]["strengths"].as_object();
        for (name, counts) in strengths.into_iter().flatten() {
            let sum = sums.entry(name).or_default();
            sum[0] += counts["fail"].as_u64().unwrap_or(0);
            sum[1] += counts["warn"].as_u64().unwrap_or(0);
        }
    }
    let sums = sums.into_iter();
    sums.map(|(name, [fail, warn])| {
        (
            name.to_owned(),
            serde_json::json!({"fail": fail, "warn": warn}),
        )
    })
    .collect()
}

fn lines<'a>(reports: &'a [Value], field: &str) -> BTreeSet<&'a str> {
    items(reports, field).filter_map(Value::as_str).collect()
}

/// An entry of a baseline is not needed if no part needs it.
fn unneeded(reports: &[Value]) -> Value {
    let nowhere = |line: &&str| {
        let mut all = reports.iter();
        all.all(|one| {
            one["unneeded"]
                .as_array()
                .is_some_and(|list| list.iter().any(|it| it == line))
        })
    };
    lines(reports, "unneeded")
        .into_iter()
        .filter(nowhere)
        .collect()
}

/// The same cause in several parts is one, in the order in which parts have them.
fn causes(reports: &[Value]) -> Value {
    let mut causes: Vec<Value> = Vec::new();
    for cause in items(reports, "causes") {
        let same = |known: &&mut Value| {
            known["clause"] == cause["clause"] && known["verdict"] == cause["verdict"]
        };
        match causes.iter_mut().find(same) {
            None => causes.push(cause.clone()),
            Some(known) => {
                for field in ["cases", "consequences"] {
                    append(&mut known[field], &cause[field]);
                }
            }
        }
    }
    // Those that fail come first, as in each part.
    causes.sort_by_key(|cause| cause["verdict"] != "fail");
    causes.into()
}

fn append(to: &mut Value, from: &Value) {
    if let (Some(to), Some(from)) = (to.as_array_mut(), from.as_array()) {
        for one in from {
            if !to.contains(one) {
                to.push(one.clone());
            }
        }
    }
}

/// A requirement stands as the part says that says most: what was breached somewhere is breached.
fn requirements(reports: &[Value]) -> Value {
    const ORDER: [&str; 5] = ["breached", "departed", "held", "open", "not-tested"];
    let rank = |one: &Value| ORDER.iter().position(|word| *word == text(one, "standing"));
    let mut order: Vec<&str> = Vec::new();
    let mut all: BTreeMap<&str, Value> = BTreeMap::new();
    for one in items(reports, "requirements") {
        let id = text(one, "id");
        match all.get_mut(id) {
            None => {
                order.push(id);
                all.insert(id, one.clone());
            }
            Some(known) => {
                let passed =
                    known["passed"].as_u64().unwrap_or(0) + one["passed"].as_u64().unwrap_or(0);
                let mut stronger = match rank(one) < rank(known) {
                    true => one.clone(),
                    false => known.clone(),
                };
                if rank(one) == rank(known) {
                    append(&mut stronger["against"], &one["against"]);
                }
                stronger["passed"] = passed.into();
                *known = stronger;
            }
        }
    }
    order.into_iter().filter_map(|id| all.remove(id)).collect()
}

/// The parts ran side by side.
fn times(reports: &[Value]) -> Value {
    let longest = reports
        .iter()
        .filter_map(|one| one["times"]["elapsed_us"].as_u64())
        .max();
    let cases = reports
        .iter()
        .flat_map(|one| one["times"]["cases"].as_object().into_iter().flatten());
    let cases: Map<String, Value> = cases
        .map(|(id, times)| (id.clone(), times.clone()))
        .collect();
    serde_json::json!({"elapsed_us": longest.unwrap_or(0), "cases": cases})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::report::{Report, fixture, to_json};

    fn report(records: Vec<Record>) -> Report {
        fixture::report(fixture::gather(records, false))
    }

    fn document(report: &Report) -> Value {
        serde_json::from_str(&to_json(report).expect("it has a JSON form")).expect("it is JSON")
    }

    fn records() -> Vec<Record> {
        fixture::report(fixture::generated())
            .records
            .into_values()
            .chain([fixture::failed()])
            .collect()
    }

    #[test]
    fn the_parts_of_a_run_are_the_run() {
        let (odd, even): (Vec<_>, Vec<_>) =
            (records().into_iter().enumerate()).partition(|(at, _)| at % 2 == 1);
        let part = |records: Vec<(usize, Record)>| {
            document(&report(records.into_iter().map(|(_, one)| one).collect()))
        };
        let merged = merge(&[part(even), part(odd)]).expect("they belong together");
        assert_eq!(merged, document(&report(records())));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let one = document(&report(records()));
        let mut other = one.clone();
        for (place, value, told) in [
            ("/seed", Value::from(8), "its seed is 8"),
            ("/target", "another".into(), "its target is \"another\""),
            ("/tool/version", "9.9.9".into(), "its version of s2spec is"),
        ] {
            let mut other = one.clone();
            *other.pointer_mut(place).expect("a field") = value;
            let (at, error) = merge(&[one.clone(), other]).expect_err("another run");
            assert_eq!(at, 1);
            assert!(error.to_string().contains(told), "{error}");
        }
        let id = one["cases"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(
            merge(&[one.clone(), one.clone()]),
            Err((1, NotOneRun::Twice(id.clone())))
        );
        for case in other["cases"].as_array_mut().expect("cases") {
            case["added_as_control"] = true.into();
        }
        assert!(merge(&[one.clone(), other.clone()]).is_ok(), "controls");
        other["cases"][0]["verdict"] = "fail".into();
        assert_eq!(merge(&[one, other]), Err((1, NotOneRun::Ambiguous(id))));
    }
}
