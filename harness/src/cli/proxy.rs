//! `s2spec proxy`: hands over to the proxy's own administration.

use reference_proxy_admin::{Args, Error, run, tap};

use super::error::{CliError, Exit};
use super::logging;

/// Runs the embedded proxy until a signal stops it, or one of its commands.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    match args.runs_the_proxy() {
        true => logging::start_with("info", tap()),
        false => logging::start(""),
    }
    match run(args) {
        Ok(reference_proxy_admin::Exit::Good) => Ok(Exit::Expected),
        Ok(reference_proxy_admin::Exit::Wanting) => Ok(Exit::Unexpected),
        Err(Error::Usage(text)) => Err(CliError::Usage(text)),
        Err(Error::Environment { doing, source }) => Err(CliError::Environment { doing, source }),
    }
}
