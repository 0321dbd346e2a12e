//! The domains of partners, for an allow list.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Args;
use crate::case::Case;
use crate::cli::output;
use crate::cli::target::Server;
use crate::doctor;
use crate::error::CliError;
use crate::runner;
use crate::subject::Placement;

/// The version of the JSON format.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    target: &'a str,
    domains: &'a BTreeSet<String>,
}

/// The domains that a run of the chosen cases would use, with their controls and the check before it.
///
/// # Errors
/// When the target cannot be found.
pub(super) fn listed(
    args: &Args,
    server: Server,
    all: &[Case],
    chosen: &[&Case],
) -> Result<String, CliError> {
    let profile = args.judging.profile();
    // A target of a file is examined before it is tested.
    let is_examined = server.file().is_some();
    let (target, _) = server.open(profile)?;
    let target = target.as_ref();
    let chosen: Vec<Case> = chosen.iter().map(|&case| case.clone()).collect();
    let mut domains = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for job in runner::jobs(all, &chosen, target, profile) {
        if matches!(target.place(&job.case), Placement::Group(_)) {
            domains.extend(target.partners_of(&job.case));
            rows.insert(job.case.row);
        }
    }
    if is_examined {
        for row in rows {
            let partners = doctor::partner_domains(target, row);
            domains.extend(partners.map_err(|e| CliError::environment("no partners", e))?);
        }
    }
    if args.json {
        let name = target.name();
        let document = Document {
            schema: SCHEMA,
            target: &name,
            domains: &domains,
        };
        return output::json(&document);
    }
    Ok(domains.iter().map(|domain| format!("{domain}\n")).collect())
}
