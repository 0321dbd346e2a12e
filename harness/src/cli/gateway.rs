//! `s2spec gateway`: hands over to the gateway.

use reference_gateway::command::{Args, Error, Outcome, run};

use super::logging;
use crate::error::{CliError, Exit};

/// Runs the gateway until a signal stops it, or one of its commands.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    logging::start(if args.runs_the_gateway() { "info" } else { "" });
    match run(args) {
        Ok(Outcome::Good) => Ok(Exit::Expected),
        Ok(Outcome::Returned) => Ok(Exit::Unexpected),
        Err(Error::Usage(text)) => Err(CliError::Usage(text)),
        Err(Error::Environment { doing, source }) => Err(CliError::environment(doing, source)),
    }
}
