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
        "{} is there already and stays as it is; --out names another place",
        path.display()
    ))
}

/// Makes a folder that files are going to be written to, before what takes time.
///
/// # Errors
/// When it cannot be made, or nothing can be written there.
pub(super) fn folder(path: &Path) -> Result<(), CliError> {
    if path.exists() && !path.is_dir() {
        return Err(CliError::Usage(format!(
            "{} is a file; --out names a folder",
            path.display()
        )));
    }
    let made = std::fs::create_dir_all(path).and_then(|()| tempfile::tempfile_in(path));
    made.map(drop)
        .map_err(|e| CliError::environment(format!("cannot write to {}", path.display()), e))
}

/// Whether a file can be written that is not there yet, before what takes time.
///
/// # Errors
/// When it is there, or its folder takes no files.
pub(super) fn free(path: &Path) -> Result<(), CliError> {
    if path.exists() {
        return Err(there_already(path));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let doing = format!("cannot write {}", path.display());
    if !folder.is_dir() {
        let why = format!("there is no folder {}", folder.display());
        return Err(CliError::environment(doing, why));
    }
    let made = tempfile::tempfile_in(folder);
    made.map(drop).map_err(|e| CliError::environment(doing, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn where_nothing_can_be_written_is_known_before() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("file");
        free(&file).expect("it is not there");
        std::fs::write(&file, "").expect("the folder is ours");
        let error = free(&file).expect_err("it is there");
        assert!(error.to_string().contains("--out names another"), "{error}");
        let error = folder(&file).expect_err("it is a file");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(
            error.to_string().contains("--out names a folder"),
            "{error}"
        );
        let error = folder(&file.join("below")).expect_err("it lies in a file");
        assert_eq!(error.exit(), Exit::Environment);
        folder(&place.path().join("a/b")).expect("it is made");
        free(&place.path().join("c/d")).expect_err("there is no folder");
    }
}
