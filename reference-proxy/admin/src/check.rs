//! `s2spec proxy check`: the configuration file, without a start.

use std::path::Path;

use reference_proxy::config::Config;

use crate::error::{Error, Exit};
use crate::output::print;

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    Config::load(config)?;
    print(&format!("{} can be used\n", config.display()))?;
    Ok(Exit::Good)
}
