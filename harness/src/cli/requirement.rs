//! `s2spec explain` for a requirement or a bug.

use super::select::ELSEWHERE;
use super::sheet::Sheet;
use crate::coverage::{Coverage, Covering};
use crate::error::CliError;
use crate::requirement::{Bug, Entry, Level, Registry, Requirement, RequirementId};
use crate::scenario::Library;
use crate::verdict::Weight;

/// The explanation of a requirement or bug, in any letter case; `None` if the text does not have
/// the form of such an id.
///
/// # Errors
/// When it has the form of such an id but does not exist.
pub(super) fn explain(
    id: &str,
    registry: &Registry,
    library: &Library,
) -> Result<Option<Sheet>, CliError> {
    let entry = match registry.find(id) {
        None => return Ok(None),
        Some(found) => {
            found.map_err(|error| CliError::NothingSelected(format!("{error} {ELSEWHERE}")))?
        }
    };
    let covering = Covering::from(library);
    let coverage = Coverage::new(registry, &covering);
    Ok(Some(match entry {
        Entry::Bug(bug) => of_bug(&coverage, bug),
        Entry::Requirement(requirement) => of_requirement(&coverage, requirement),
    }))
}

fn of_requirement(coverage: &Coverage<'_>, requirement: &Requirement) -> Sheet {
    let mut sheet = Sheet::new(&requirement.id.to_string());
    let mut say = |name: &str, text: &str| sheet.say(name, text);
    say("demands", &requirement.text);
    say("source", &requirement.source);
    say("level", &level(requirement.level));
    say(
        "role",
        &format!("{}: {}", requirement.role, requirement.role.says()),
    );
    if let Some(area) = coverage.registry().area(requirement.id.area()) {
        say("area", &format!("{}: {}", area.folder, area.title));
    }
    if let Some(note) = &requirement.note {
        say("note", note);
    }
    if let Some(reason) = &requirement.unjudgeable {
        say("unjudgeable", reason);
    }
    for bug in coverage.registry().bugs_of(&requirement.id) {
        say(
            "broken in",
            &format!("{}, {}: {}", bug.id, bug.source, bug.text),
        );
    }
    covered(
        coverage,
        &requirement.id,
        requirement.unjudgeable.is_some(),
        &mut sheet,
    );
    sheet
}

fn covered(
    coverage: &Coverage<'_>,
    requirement: &RequirementId,
    unjudgeable: bool,
    sheet: &mut Sheet,
) {
    let scenarios = coverage.scenarios(requirement);
    if scenarios.is_empty() && !unjudgeable {
        sheet.say("covered by", "no scenario yet");
    }
    sheet.say_all("covered by", scenarios);
}

fn level(level: Level) -> String {
    format!(
        "{}: {}; a breach is {}",
        level,
        level.says(),
        match level.weight() {
            Weight::Must => "a failure",
            Weight::Should | Weight::Disputed | Weight::Undecided => "a warning",
            Weight::May => "recorded and no failure",
        }
    )
}

fn of_bug(coverage: &Coverage<'_>, bug: &Bug) -> Sheet {
    let mut sheet = Sheet::new(&bug.id);
    sheet.say("bug", &bug.text);
    sheet.say("seen in", &bug.source);
    let hunters = coverage.hunters(bug);
    if hunters.is_empty() {
        sheet.say("hunted by", "no scenario by name yet");
    }
    sheet.say_all("hunted by", hunters);
    for requirement in &bug.requirements {
        let Some(found) = coverage.registry().get(requirement) else {
            continue;
        };
        sheet.say("breaks", &format!("{requirement}: {}", found.text));
        covered(
            coverage,
            requirement,
            found.unjudgeable.is_some(),
            &mut sheet,
        );
    }
    sheet
}
