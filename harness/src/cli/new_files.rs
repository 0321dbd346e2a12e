//! Files that commands write, and never over others.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::subject::remote::write_new;

/// Writes files, each with its mode, of which none is there yet: all of them or none.
///
/// # Errors
/// When one is there, or cannot be written.
pub(super) fn write_all(files: &[(PathBuf, &str, u32)]) -> Result<(), CliError> {
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.exists()) {
        return Err(there_already(path));
    }
    for (at, (path, text, mode)) in files.iter().enumerate() {
        if let Err(error) = write_new(path, text, *mode) {
            for (written, ..) in &files[..at] {
                let _ = std::fs::remove_file(written);
            }
            return Err(match error.kind() {
                ErrorKind::AlreadyExists => there_already(path),
                _ => CliError::environment(format!("cannot write {}", path.display()), error),
            });
        }
    }
    Ok(())
}

/// That a file is there, which is never written over.
pub(super) fn there_already(path: &Path) -> CliError {
    CliError::Usage(format!(
        "{} is there already and stays as it is; --output names another place",
        path.display()
    ))
}
