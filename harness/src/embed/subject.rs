//! What is put under test.

use std::sync::Arc;

use super::in_process::{self, InProcess};
use crate::target::Target;

/// A target for [`federation`](super::federation): a server in the test's own process, or any
/// [`Target`].
pub struct Subject {
    pub(super) target: Result<Arc<dyn Target>, String>,
    /// Options by which the command line runs against the same target; none where it cannot.
    pub(super) options: Option<Vec<String>>,
}

impl<T: InProcess> From<T> for Subject {
    fn from(server: T) -> Self {
        Self {
            target: Ok(in_process::target(server)),
            options: None,
        }
    }
}

impl From<Arc<dyn Target>> for Subject {
    fn from(target: Arc<dyn Target>) -> Self {
        Self {
            target: Ok(target),
            options: None,
        }
    }
}
