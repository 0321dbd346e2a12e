//! `s2spec proxy check`: the configuration file, without a start.

use std::path::Path;

use reference_proxy::Rule;
use reference_proxy::config::Config;
use rustls::pki_types::UnixTime;

use crate::error::{Error, Exit};
use crate::output::{note, print};

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    let read = Config::load(config)?;
    for doubt in read.doubts() {
        note(&format!("warning: {doubt}"));
    }
    let examined = read.examine(UnixTime::now());
    for remark in examined.iter().flat_map(|one| &one.remarks) {
        // Public authorities issue no others any more, and dialback is left.
        if remark.refused || remark.rule != Rule::ForClients {
            note(&format!(
                "warning: the {} certificate of {}: {}",
                remark.key, remark.presented, remark.text
            ));
        }
    }
    print(&format!("{} can be used\n", config.display()))?;
    Ok(Exit::Good)
}
