//! `s2spec proxy check`: the configuration file, without a start.

use std::path::Path;

use reference_proxy::config::Config;
use rustls::pki_types::UnixTime;

use crate::error::{Error, Exit};
use crate::output::{note, print};

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    let read = Config::load(config)?;
    let now = UnixTime::now();
    for doubt in read.doubts().into_iter().chain(read.ended_lists(now)) {
        note(&format!("warning: {doubt}"));
    }
    let examined = read.examine(now);
    let remarks = examined.iter().flat_map(|one| &one.remarks);
    for remark in remarks.filter(|remark| remark.matters()) {
        note(&format!("warning: {remark}"));
    }
    print(&format!("{} can be used\n", config.display()))?;
    Ok(Exit::Good)
}
