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
    serve(&args.config).map_err(|error| CliError::environment("cannot run the proxy", error))?;
    Ok(Exit::Expected)
}

fn serve(config: &std::path::Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Err(format!("{}: this build has no proxy", config.display()).into())
}
