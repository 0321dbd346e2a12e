//! `s2spec proxy certificate`: what a certificate is good for, and taking it into use.

mod check;
mod describe;
mod import;
mod verdict;

use std::fs;
use std::path::Path;

use clap::Subcommand;
use reference_proxy::config::{Domain, Draft};
use reference_proxy::{fits_key, pem_text};

use crate::error::{Error, Exit, chained};
pub(crate) use import::without_own;
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

/// What a certificate is presented as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presented<'a> {
    /// To gateways.
    Internal,
    /// As this served domain, which has one of its own.
    Own(&'a Domain),
    /// As the served domains that have none of their own.
    Usual,
}

/// What partners, or gateways, will hold against a certificate and its key.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// So that they refuse it.
    pub(crate) refused: Vec<String>,
    /// Although they take it.
    pub(crate) noted: Vec<String>,
}

/// Judges a certificate as whom it is presented to will judge it.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn faults(
    config: &Path,
    draft: &Draft,
    [chain, key]: [&Path; 2],
    presented: Presented<'_>,
) -> Result<Faults, Error> {
    let chain = read(chain)?;
    let refused = |error: &dyn std::error::Error| Faults {
        refused: vec![chained(error)],
        noted: Vec::new(),
    };
    if let Err(error) = fits_key(&chain, &read(key)?) {
        return Ok(refused(&error));
    }
    let (used, internal) = match presented {
        Presented::Internal => (Use::Internal, true),
        Presented::Own(domain) => (Use::Domains(vec![domain.clone()]), false),
        Presented::Usual => (Use::Domains(without_own(draft)), false),
    };
    let authorities = verdict::authorities(config, draft, None, internal)?;
    Ok(match verdict::judge(&chain, &authorities, &used) {
        Err(error) => refused(&error),
        Ok(verdict) => {
            let mut faults = Faults::default();
            for line in verdict.lines {
                let list = match line.refused {
                    true => &mut faults.refused,
                    false => &mut faults.noted,
                };
                list.extend(line.broken);
            }
            faults
        }
    })
}

/// The text of a PEM file.
pub(crate) fn read(file: &Path) -> Result<String, Error> {
    let name = file.display().to_string();
    let bytes =
        fs::read(file).map_err(|error| Error::environment(format!("cannot read {name}"), error))?;
    pem_text(bytes, &name).map_err(Error::Usage)
}
