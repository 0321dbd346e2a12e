//! `s2spec proxy reload`: the running proxy reads its configuration file again.

use std::path::Path;

use reference_proxy::control::Client;

use crate::error::{Error, Exit};
use crate::output::print;
use crate::running::shown;

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    let reloaded = Client::of_configuration(config)?.reload()?;
    print(&shown("proxy", &reloaded))?;
    Ok(Exit::Good)
}
