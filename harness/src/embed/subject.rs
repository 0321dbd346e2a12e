//! The subject of the tests.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::in_process::{self, InProcess};
use crate::error::Exit;
use crate::policy::PolicyNumber;
use crate::subject::Target;
use crate::subject::remote::{Remote, TargetFile};
use crate::suite;

/// A target for [`federation`](super::federation): a server in the test's own process, the server of a
/// [`target_file`], or any [`Target`].
pub struct Subject {
    /// The target, or why there is none.
    pub(super) target: Result<Arc<dyn Target>, (Exit, String)>,
    /// Options for running the command line against the same target; `None` if that is impossible.
    pub(super) options: Option<Vec<String>>,
    /// The lock file of a server that all processes share.
    turn: Option<PathBuf>,
    /// The policies that it is set to; `None` if any can be had.
    pub(super) policies: Option<Vec<PolicyNumber>>,
}

/// The server of a target file, as in `s2spec run --target FILE`. A relative path starts at
/// the package's own folder, where cargo runs tests.
///
/// There is only one such server. If tests run in separate processes (nextest), they wait for one
/// another.
pub fn target_file(path: impl AsRef<Path>) -> Subject {
    let path = path.as_ref();
    let options = vec![format!("--target {}", path.display())];
    match suite::target_file(path, false) {
        Ok(file) => Subject {
            turn: Some(turn_file(&file)),
            policies: Some(file.rows().collect()),
            target: Ok(Arc::new(Remote::new(file))),
            options: Some(options),
        },
        Err(error) => Subject {
            target: Err((error.exit(), error.report(false))),
            options: Some(options),
            turn: None,
            policies: None,
        },
    }
}

impl Subject {
    /// Waits until no other process uses the server.
    pub(super) fn turn(&self) -> io::Result<Option<File>> {
        let Some(path) = &self.turn else {
            return Ok(None);
        };
        // Never removed: otherwise two processes could hold locks on different files.
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Some(file))
    }
}

/// Two labs for the same server would need the same address for DNS.
fn turn_file(file: &TargetFile) -> PathBuf {
    let address = file.dns.to_string().replace([':', '[', ']', '%'], "-");
    std::env::temp_dir().join(format!("s2spec-dns-{address}.lock"))
}

impl<T: InProcess> From<T> for Subject {
    fn from(server: T) -> Self {
        in_process::target(server).into()
    }
}

impl From<Arc<dyn Target>> for Subject {
    fn from(target: Arc<dyn Target>) -> Self {
        Self {
            target: Ok(target),
            options: None,
            turn: None,
            policies: None,
        }
    }
}
