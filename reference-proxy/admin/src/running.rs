//! The running proxy, which has to learn of a change.

use std::path::Path;

use reference_proxy::config::Draft;

use crate::output::note;

/// Says how the change gets into force.
pub(crate) fn tell(_config: &Path, _draft: &Draft) {
    note("a running proxy reads its configuration when it is started again");
}
