//! `s2spec proxy certificate`: what a certificate is good for, and taking it into use.

mod check;
mod describe;
mod import;
mod verdict;

use std::fs;
use std::path::Path;

use clap::Subcommand;
use reference_proxy::config::Draft;
use reference_proxy::fits_key;

use crate::error::{Error, Exit, chained};
use verdict::Use;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which rules a certificate meets, and with which partners it will do
    Check(check::Args),
    /// Take a certificate into use
    Import(import::Args),
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    match &args.command {
        Command::Check(args) => check::command(config, args),
        Command::Import(args) => import::command(config, args),
    }
}

/// What partners, or gateways, will hold against a certificate and its key, so that they refuse it.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn faults(
    config: &Path,
    draft: &Draft,
    [chain, key]: [&Path; 2],
    internal: bool,
) -> Result<Vec<String>, Error> {
    let chain = read(chain)?;
    if let Err(error) = fits_key(&chain, &read(key)?) {
        return Ok(vec![chained(&error)]);
    }
    let used = match internal {
        true => Use::Internal,
        false => Use::Domains(import::without_own(draft)),
    };
    let authorities = verdict::authorities(config, draft, None, internal)?;
    Ok(match verdict::judge(&chain, &authorities, &used) {
        Err(error) => vec![chained(&error)],
        Ok(verdict) => {
            let refused = verdict.lines.into_iter().filter(|line| line.refused);
            refused.filter_map(|line| line.broken).collect()
        }
    })
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file)
        .map_err(|error| Error::environment(format!("cannot read {}", file.display()), error))
}
