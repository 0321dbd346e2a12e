//! Coverage as data.

use serde_json::{Value, json};

use super::{Count, Coverage, Table};
use crate::requirement::{Level, Requirement};

/// Version of the document's form.
pub const SCHEMA: u32 = 1;

/// The table, each requirement in it with its scenarios, and all known bugs with theirs.
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
    let rows: Vec<Value> = table
        .areas
        .iter()
        .flat_map(|(area, _)| registry.of(&area.code))
        .map(|row| of_row(coverage, row))
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
        "rows": rows,
        "bugs": bugs,
    })
}

fn counted(count: &Count) -> Value {
    json!({
        "rows": count.rows(),
        "covered": count.covered,
        "unjudgeable": count.unjudgeable,
        "open": count.open,
    })
}

fn of_row(coverage: &Coverage<'_>, row: &Requirement) -> Value {
    let bugs: Vec<&str> = coverage
        .registry()
        .bugs_of(&row.id)
        .map(|bug| bug.id.as_str())
        .collect();
    json!({
        "id": row.id,
        "source": row.source,
        "level": row.level,
        "breach": row.level.weight().effect(),
        "role": row.role,
        "text": row.text,
        "note": row.note,
        "unjudgeable": row.unjudgeable,
        "state": coverage.state(row),
        "scenarios": coverage.scenarios(&row.id),
        "bugs": bugs,
    })
}
