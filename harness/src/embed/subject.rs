//! What is put under test.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::in_process::{self, InProcess};
use crate::cli::{self, Exit};
use crate::subject::Target;
use crate::subject::remote::{Remote, TargetFile};

/// A target for [`federation`](super::federation): a server in the test's own process, the server of a
/// [`target_file`], or any [`Target`].
pub struct Subject {
    /// The target, or why there is none.
    pub(super) target: Result<Arc<dyn Target>, (Exit, String)>,
    /// Options by which the command line runs against the same target; none where it cannot.
    pub(super) options: Option<Vec<String>>,
    /// Who holds this file has the server, of which there is one for all processes.
    turn: Option<PathBuf>,
}

/// The server of a target file, as `s2spec run --target FILE` takes it. The path is looked for from
/// where cargo runs tests: the package's own folder.
///
/// There is one such server. Where tests run in processes of their own (nextest), they wait for one
/// another.
pub fn target_file(path: impl AsRef<Path>) -> Subject {
    let path = path.as_ref();
    let options = vec![format!("--target {}", path.display())];
    match cli::target_file(path, false) {
        Ok(file) => Subject {
            turn: Some(turn_file(&file)),
            target: Ok(Arc::new(Remote::new(file))),
            options: Some(options),
        },
        Err(error) => Subject {
            target: Err((error.exit(), error.report(false))),
            options: Some(options),
            turn: None,
        },
    }
}

impl Subject {
    /// Waits until no other process has the server.
    pub(super) fn turn(&self) -> io::Result<Option<File>> {
        let Some(path) = &self.turn else {
            return Ok(None);
        };
        // Never removed: a process that has it open could hold one lock and the next another.
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
        }
    }
}
