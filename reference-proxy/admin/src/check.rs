//! `s2spec proxy check`: the configuration file, without a start.

use std::path::Path;

use reference_proxy::config::Config;

use crate::error::{Error, Exit};
use crate::output::{note, print};

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    for doubt in Config::load(config)?.doubts() {
        note(&format!("warning: {doubt}"));
    }
    print(&format!("{} can be used\n", config.display()))?;
    Ok(Exit::Good)
}
