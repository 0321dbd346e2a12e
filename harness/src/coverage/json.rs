//! Coverage as JSON.

use serde_json::{Value, json};

use super::{Count, Coverage, Table};
use crate::requirement::{Level, Requirement};

/// The version of the document's format.
pub const SCHEMA: u32 = 1;

/// The table, each of its requirements with its scenarios, and all known bugs with theirs.
pub fn to_json(coverage: &Coverage<'_>, table: &Table) -> Value {
    let registry = coverage.registry();
    let areas: Vec<Value> = table
        .areas
        .iter()
        .map(|(area, counts)| {
            let mut value = counted(&counts.all);
            value["area"] = json!(area.code);
            value["folder"] = json!(area.folder);
            value["title"] = json!(area.title);
            value["levels"] = Level::ALL
                .iter()
                .zip(&counts.levels)
                .map(|(level, count)| (level.to_string(), counted(count)))
                .collect();
            value
        })
        .collect();
    let requirements: Vec<Value> = table
        .areas
        .iter()
        .flat_map(|(area, _)| registry.of(&area.code))
        .map(|requirement| of_requirement(coverage, requirement))
        .collect();
    let bugs: Vec<Value> = registry
        .bugs()
        .iter()
        .map(|bug| {
            json!({
                "id": bug.id,
                "source": bug.source,
                "text": bug.text,
                "requirements": bug.requirements,
                "scenarios": coverage.hunters(bug),
            })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "total": counted(&table.total.all),
        "areas": areas,
        "requirements": requirements,
        "bugs": bugs,
    })
}

fn counted(count: &Count) -> Value {
    json!({
        "requirements": count.total(),
        "covered": count.covered,
        "unjudgeable": count.unjudgeable,
        "open": count.open,
    })
}

fn of_requirement(coverage: &Coverage<'_>, requirement: &Requirement) -> Value {
    let bugs: Vec<&str> = coverage
        .registry()
        .bugs_of(&requirement.id)
        .map(|bug| bug.id.as_str())
        .collect();
    json!({
        "id": requirement.id,
        "source": requirement.source,
        "level": requirement.level,
        "breach": requirement.level.weight().effect(),
        "role": requirement.role,
        "text": requirement.text,
        "note": requirement.note,
        "unjudgeable": requirement.unjudgeable,
        "state": coverage.state(requirement),
        "scenarios": coverage.scenarios(&requirement.id),
        "bugs": bugs,
    })
}
