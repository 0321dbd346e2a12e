//! `s2spec proxy log`: the log of a running proxy, from now on.

use std::io::{self, Write as _};
use std::path::Path;

use reference_proxy::control::{Client, Followed};

use crate::error::{Error, Exit};

/// Options of `log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A domain of the partner whose lines are shown; without it, all lines
    #[arg(value_name = "PARTNER")]
    partner: Option<String>,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let lines = Client::of_configuration(config)?.log(args.partner.as_deref())?;
    for part in lines {
        let shown = match part? {
            Followed::Line(line) => writeln!(anstream::stdout(), "{line}"),
            Followed::Lost(1) => writeln!(anstream::stderr(), "1 line was lost"),
            Followed::Lost(lines) => writeln!(anstream::stderr(), "{lines} lines were lost"),
        };
        match shown {
            // `| head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Good),
            shown => shown?,
        }
    }
    Ok(Exit::Good)
}
