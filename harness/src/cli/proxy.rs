//! `s2spec proxy`.

use std::path::PathBuf;

use super::error::{CliError, Exit};
use super::logging;
use crate::subject::reference::{ServeError, serve};

/// Options of `proxy`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file of the proxy (TOML)
    #[arg(long, value_name = "FILE", env = "S2SPEC_CONFIG")]
    config: PathBuf,
}

/// Runs the embedded proxy until a signal stops it.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    logging::start("info");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    match runtime.block_on(serve(&args.config)) {
        Ok(()) => Ok(Exit::Expected),
        Err(ServeError::Configuration(mistakes)) => {
            let mistakes = mistakes.strip_prefix("error: ").unwrap_or(&mistakes);
            Err(CliError::Usage(mistakes.to_owned()))
        }
        Err(error) => Err(CliError::environment("cannot run the proxy", error)),
    }
}
