//! `s2spec personas`.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;
use simulated_partners::persona;

use super::error::{CliError, Exit};
use super::output;
use crate::report::describe_offer;

/// Options of `personas`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also print what each offers and where it was seen
    #[arg(short, long)]
    long: bool,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let personas = persona::builtin();
    let widest = personas.iter().map(|p| p.name.chars().count()).max();
    let column = widest.unwrap_or_default() + 2;
    let mut out = String::new();
    for persona in personas {
        let _ = writeln!(
            out,
            "{}{}",
            format!("{:<column$}", persona.name).bold(),
            persona.title
        );
        if args.long {
            let _ = writeln!(out, "{:column$}{}", "", describe_offer(&persona.offer));
            if let Some(seen) = &persona.seen_in {
                let _ = writeln!(out, "{:column$}Seen in: {seen}", "");
            }
        }
    }
    output::show(out)?;
    Ok(Exit::Expected)
}
