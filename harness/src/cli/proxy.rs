//! `s2spec proxy`.

use std::path::PathBuf;

use super::error::{CliError, Exit};
use super::logging;

/// Options of `proxy`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The proxy's configuration, a TOML file
    #[arg(long, value_name = "FILE", env = "S2SPEC_CONFIG")]
    config: PathBuf,
}

/// Runs the embedded proxy until it is told to stop.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    logging::start("info");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    runtime
        .block_on(crate::target::reference::serve(&args.config))
        .map_err(|error| CliError::environment("cannot run the proxy", error))?;
    Ok(Exit::Expected)
}
