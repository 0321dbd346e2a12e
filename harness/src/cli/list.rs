//! `s2spec list`.

mod domains;

use std::fmt::Write as _;

use serde::Serialize;

use super::judging::Judging;
use super::target::Tested;
use super::{output, select};
use crate::case::{Case, Direction, Set};
use crate::console::allowed_text;
use crate::error::{CliError, Exit};
use crate::expectation::Expectation;
use crate::oracle::allowed;

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) wanted: select::Wanted,

    /// Also print the allowed outcomes and their rule
    #[arg(short, long)]
    long: bool,

    /// Print the partners' domains instead of ids, one per line, for the target's allow list
    #[arg(long, conflicts_with = "long")]
    domains: bool,

    /// Print the cases, or the domains, as JSON
    #[arg(long, conflicts_with = "long")]
    json: bool,

    #[command(flatten)]
    tested: Tested,

    #[command(flatten)]
    sources: select::Sources,

    #[command(flatten)]
    judging: Judging,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let server = args.tested.read()?;
    let (wanted, suite) = args.wanted.read(&server.sources(&args.sources))?;
    let all = wanted.parts(&suite);
    let chosen = wanted.among(&all, &suite.catalogue.registry)?;
    let text = if args.domains {
        domains::listed(args, server, &all, &chosen)?
    } else if args.json {
        data(args, &chosen)?
    } else {
        ids(args, &chosen)
    };
    output::print(&text)?;
    Ok(Exit::Expected)
}

/// A case as data.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    set: Set,
    row: u8,
    direction: Direction,
    partner: &'a str,
    title: &'a str,
    requirements: &'a [String],
    /// The rule that decides it, in the sets `settings` and `failover`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    /// What the oracle allows; null where the case's script decides.
    allowed: Option<Expectation>,
}

fn data(args: &Args, chosen: &[&Case]) -> Result<String, CliError> {
    let cases: Vec<Listed<'_>> = chosen
        .iter()
        .map(|case| Listed {
            id: &case.id,
            set: case.set,
            row: case.row.number(),
            direction: case.direction,
            partner: &case.partner.name,
            title: &case.script.title,
            requirements: case.requirements(),
            rule: case.administration().map(|one| one.rule.id),
            allowed: allowed(case, args.judging.profile()),
        })
        .collect();
    output::json(&cases)
}

fn ids(args: &Args, chosen: &[&Case]) -> String {
    let mut out = String::new();
    for case in chosen {
        out.push_str(&case.id);
        let allowed = allowed(case, args.judging.profile());
        if args.long
            && let Some(Expectation { allowed, rule, .. }) = allowed
        {
            let _ = write!(out, "\t{}\t{rule}", allowed_text(&allowed));
        } else if let (true, Some(one)) = (args.long, case.administration()) {
            let _ = write!(out, "\t{}\t{}", case.script.title, one.rule.id);
        } else if args.long {
            let requirements = case.requirements().join(" ");
            let _ = write!(out, "\t{}\t{requirements}", case.script.title);
        }
        out.push('\n');
    }
    out
}
