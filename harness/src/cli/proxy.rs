//! `s2spec proxy`: hands over to the proxy's own administration.

use reference_proxy_admin::{Args, Error, run, tap};

use super::logging;
use crate::cause::with_causes;
use crate::error::{CliError, Exit};

/// Runs the embedded proxy until a signal stops it, or one of its commands.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    match args.runs_the_proxy() {
        true => logging::start_with("info", tap()),
        false => logging::start(""),
    }
    match run(args) {
        Ok(reference_proxy_admin::Exit::Good) => Ok(Exit::Expected),
        Ok(reference_proxy_admin::Exit::Wanting) => Ok(Exit::Unexpected),
        // `status` has codes of its own, as monitoring knows them.
        Ok(reference_proxy_admin::Exit::Critical) => Ok(Exit::Usage),
        Err(error @ Error::Critical(_)) => Err(CliError::Usage(with_causes(&error))),
        Err(Error::Usage(text)) => Err(CliError::Usage(text)),
        Err(Error::Environment { doing, source }) => Err(CliError::Environment { doing, source }),
    }
}
