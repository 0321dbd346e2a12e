//! `s2spec explain` for a requirement or a bug.

use owo_colors::OwoColorize as _;

use super::error::CliError;
use super::select::ELSEWHERE;
use crate::coverage::{Coverage, Covering};
use crate::report::field;
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
    width: usize,
) -> Result<Option<String>, CliError> {
    let entry = match registry.find(id) {
        None => return Ok(None),
        Some(found) => {
            found.map_err(|error| CliError::NothingSelected(format!("{error} {ELSEWHERE}")))?
        }
    };
    let covering = Covering::from(library);
    let coverage = Coverage::new(registry, &covering);
    Ok(Some(match entry {
        Entry::Bug(bug) => of_bug(&coverage, bug, width),
        Entry::Requirement(requirement) => of_requirement(&coverage, requirement, width),
    }))
}

fn of_requirement(coverage: &Coverage<'_>, requirement: &Requirement, width: usize) -> String {
    let mut out = format!("{}\n\n", requirement.id.to_string().bold());
    let mut say = |name: &str, text: &str| out.push_str(&field(name, text, width));
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
    for (index, bug) in coverage.registry().bugs_of(&requirement.id).enumerate() {
        let name = if index == 0 { "broken in" } else { "" };
        say(name, &format!("{}, {}: {}", bug.id, bug.source, bug.text));
    }
    covered(
        coverage,
        &requirement.id,
        requirement.unjudgeable.is_some(),
        &mut say,
    );
    out
}

fn covered(
    coverage: &Coverage<'_>,
    requirement: &RequirementId,
    unjudgeable: bool,
    say: &mut impl FnMut(&str, &str),
) {
    let scenarios = coverage.scenarios(requirement);
    if scenarios.is_empty() && !unjudgeable {
        say("covered by", "no scenario yet");
    }
    for (index, scenario) in scenarios.iter().enumerate() {
        say(if index == 0 { "covered by" } else { "" }, scenario);
    }
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

fn of_bug(coverage: &Coverage<'_>, bug: &Bug, width: usize) -> String {
    let mut out = format!("{}\n\n", bug.id.bold());
    let mut say = |name: &str, text: &str| out.push_str(&field(name, text, width));
    say("bug", &bug.text);
    say("seen in", &bug.source);
    let hunters = coverage.hunters(bug);
    if hunters.is_empty() {
        say("hunted by", "no scenario by name yet");
    }
    for (index, scenario) in hunters.iter().enumerate() {
        say(if index == 0 { "hunted by" } else { "" }, scenario);
    }
    for requirement in &bug.requirements {
        let Some(found) = coverage.registry().get(requirement) else {
            continue;
        };
        say("breaks", &format!("{requirement}: {}", found.text));
        covered(coverage, requirement, found.unjudgeable.is_some(), &mut say);
    }
    out
}
