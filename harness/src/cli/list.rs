//! `s2spec list`.

use std::fmt::Write as _;

use super::error::{CliError, Exit};
use super::judging::Judging;
use super::{output, select};
use crate::expectation::Expectation;
use crate::oracle::allowed;
use crate::report::allowed_text;

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) wanted: select::Wanted,

    /// Also print the allowed outcomes and their rule
    #[arg(short, long)]
    long: bool,

    #[command(flatten)]
    sources: select::Sources,

    #[command(flatten)]
    judging: Judging,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let all = args.wanted.parts(&args.sources)?;
    let mut out = String::new();
    for case in args.wanted.among(&all)? {
        out.push_str(&case.id);
        let allowed = allowed(case, args.judging.profile());
        if args.long
            && let Some(Expectation { allowed, rule, .. }) = allowed
        {
            let _ = write!(out, "\t{}\t{rule}", allowed_text(&allowed));
        } else if args.long {
            let requirements = case.requirements().join(" ");
            let _ = write!(out, "\t{}\t{requirements}", case.script.title);
        }
        out.push('\n');
    }
    output::print(&out)?;
    Ok(Exit::Expected)
}
