//! `s2spec list`.

use std::fmt::Write as _;

use super::error::{CliError, Exit};
use super::run::Judging;
use super::{output, select};
use crate::oracle::expected;
use crate::report::allowed_text;

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) wanted: select::Wanted,

    /// Also say what is allowed, and by which rule
    #[arg(short, long)]
    long: bool,

    #[command(flatten)]
    sources: select::Sources,

    #[command(flatten)]
    judging: Judging,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let all = args.sources.all()?;
    let mut out = String::new();
    for case in args.wanted.among(&all)? {
        out.push_str(&case.id);
        if let Some(script) = case.script.as_ref().filter(|_| args.long) {
            let _ = write!(out, "\t{}\t{}", script.title, script.requirements.join(" "));
        } else if args.long {
            let expectation = expected(case, args.judging.profile());
            let _ = write!(
                out,
                "\t{}\t{}",
                allowed_text(&expectation.allowed),
                expectation.rule
            );
        }
        out.push('\n');
    }
    output::print(&out)?;
    Ok(Exit::Expected)
}
