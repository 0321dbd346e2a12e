//! `s2spec coverage`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use simulated_partners::nearest::{did_you_mean, nearest};

use super::output;
use crate::console::field;
use crate::coverage::{
    Coverage, Covering, END, START, State, Table, doubles, in_document, page, to_json, to_markdown,
    to_text,
};
use crate::error::{CliError, Exit};
use crate::requirement::{Area, Registry, Requirement};
use crate::scenario::Doubled;
use crate::suite::Files;

/// Options of `coverage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,

    /// Only these areas, such as STR or streams [default: all]
    #[arg(long = "area", value_name = "AREA")]
    areas: Vec<String>,

    /// List requirements and known bugs without a scenario
    #[arg(long, group = "view")]
    open: bool,

    /// List requirements that cannot be judged from outside, with the reason
    #[arg(long, group = "view")]
    unjudgeable: bool,

    /// List scenarios of a MUST or of security that no double is known to fail
    #[arg(long, group = "view", conflicts_with = "areas")]
    without_double: bool,

    /// Print everything as JSON: the table, all requirements and their scenarios
    #[arg(long, group = "view")]
    json: bool,

    /// Print the table in Markdown
    #[arg(long, group = "view")]
    markdown: bool,

    /// Update the table between the two marks in this Markdown file
    #[arg(long, value_name = "FILE", group = "view", conflicts_with = "areas")]
    update: Option<PathBuf>,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let suite = args.files.read()?;
    let (registry, library) = (&*suite.catalogue.registry, suite.library());
    let areas = args
        .areas
        .iter()
        .map(|name| area(registry, name))
        .collect::<Result<Vec<&Area>, CliError>>()?;
    let covering = Covering::from(library);
    let coverage = Coverage::new(registry, &covering);
    let table = Table::new(&coverage, &areas);
    if args.without_double {
        output::show(without_double(&doubles(library, registry)))?;
    } else if let Some(path) = &args.update {
        update(path, &page(&table, library))?;
    } else if args.markdown {
        output::print(&to_markdown(&table))?;
    } else if args.json {
        output::print(&format!("{:#}\n", to_json(&coverage, &table)))?;
    } else if args.open || args.unjudgeable {
        let (state, none) = if args.open {
            (State::Open, "Everything is covered.\n")
        } else {
            (State::Unjudgeable, "Every requirement can be judged.\n")
        };
        let width = output::width();
        let mut text = list(&coverage, &table, state, width);
        if args.open && areas.is_empty() {
            text.extend(
                coverage
                    .open_bugs()
                    .map(|bug| field(&bug.id, &bug.text, width)),
            );
        }
        output::show(if text.is_empty() {
            none.to_owned()
        } else {
            text
        })?;
    } else {
        output::show(to_text(&table))?;
    }
    Ok(Exit::Expected)
}

/// The scenarios without a double: those that have none yet, then those that can have none, by reason.
fn without_double(all: &[(&str, Doubled)]) -> String {
    let mut lacking = Vec::new();
    let mut never: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, doubled) in all {
        match doubled {
            Doubled::Yes => {}
            Doubled::NotYet => lacking.push(*name),
            Doubled::Never(why) => never.entry(why).or_default().push(name),
        }
    }
    let mut text = format!(
        "Scenarios of a MUST or of security without a double, {} of {}:\n",
        lacking.len(),
        all.len()
    );
    text.extend(lacking.iter().map(|name| format!("  {name}\n")));
    for (why, names) in never {
        text.push_str(&format!("\n{} can have none: {why}\n", names.len()));
        text.extend(names.iter().map(|name| format!("  {name}\n")));
    }
    text
}

/// The area with that code or folder.
fn area<'a>(registry: &'a Registry, name: &str) -> Result<&'a Area, CliError> {
    registry.area(name).ok_or_else(|| {
        let areas = registry.areas();
        let names = areas.iter().flat_map(|area| [&*area.code, &*area.folder]);
        let folders: Vec<&str> = areas.iter().map(|area| &*area.folder).collect();
        CliError::Usage(format!(
            "no area is called {name}{} (there are {})",
            did_you_mean(&nearest(name, names)),
            folders.join(", ")
        ))
    })
}

/// The requirements in a state, one per paragraph.
fn list(coverage: &Coverage<'_>, table: &Table, state: State, width: usize) -> String {
    let registry = coverage.registry();
    table
        .areas
        .iter()
        .flat_map(|(area, _)| registry.of(&area.code))
        .filter(|requirement| coverage.state(requirement) == state)
        .map(|requirement| paragraph(requirement, width))
        .collect()
}

fn paragraph(requirement: &Requirement, width: usize) -> String {
    let text = format!("{}: {}", requirement.level, requirement.text);
    let mut out = field(&requirement.id.to_string(), &text, width);
    if let Some(reason) = &requirement.unjudgeable {
        out.push_str(&field("", reason, width));
    }
    out
}

fn update(path: &Path, markdown: &str) -> Result<(), CliError> {
    let name = path.display();
    let before = std::fs::read_to_string(path)
        .map_err(|e| CliError::environment(format!("cannot read {name}"), e))?;
    let after = in_document(&before, markdown).ok_or_else(|| {
        CliError::Usage(format!(
            "{name} has no place for the table; put {START} and {END} on separate lines there"
        ))
    })?;
    if after != before {
        std::fs::write(path, after)
            .map_err(|e| CliError::environment(format!("cannot write {name}"), e))?;
    }
    Ok(())
}
