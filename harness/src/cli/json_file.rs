//! The destination of the JSON report.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::output;
use crate::error::CliError;

/// A destination that is checked before the run, so that no result is lost after it.
#[derive(Debug)]
pub(super) enum JsonFile {
    /// `-`: standard output, instead of the table.
    Stdout,
    /// A new file that replaces the old one when complete.
    Replace(PathBuf, NamedTempFile),
    /// Not a regular file, such as a pipe: written in place.
    InPlace(PathBuf, File),
}

impl JsonFile {
    /// Opens a destination.
    ///
    /// # Errors
    /// When it is not writable.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let failed = |e| CliError::environment(format!("cannot write {}", path.display()), e);
        if path.exists() && !path.is_file() {
            let file = File::options().write(true).open(path).map_err(failed)?;
            return Ok(Self::InPlace(path.to_owned(), file));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} is no folder", folder.display()),
            )));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".s2spec-").suffix(".json");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Permissions of an ordinary new file, subject to the umask.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        // The name of the file, which nobody knows, says nothing.
        let file = builder.tempfile_in(folder);
        let file = file.map_err(|error| failed(error.kind().into()))?;
        Ok(Self::Replace(path.to_owned(), file))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When the disk is full, or the folder has disappeared.
    pub(super) fn write(self, text: &str) -> Result<(), CliError> {
        let failed =
            |path: &Path, e| CliError::environment(format!("cannot write {}", path.display()), e);
        match self {
            Self::Stdout => output::print(text),
            Self::InPlace(path, mut file) => file
                .write_all(text.as_bytes())
                .map_err(|e| failed(&path, e)),
            Self::Replace(path, mut file) => file
                .as_file_mut()
                .write_all(text.as_bytes())
                .and_then(|()| file.persist(&path).map(drop).map_err(|e| e.error))
                .map_err(|e| failed(&path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_document_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, "old").unwrap();
        let file = JsonFile::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        file.write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_reported_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let error = JsonFile::open(&folder.path().join("nowhere/report.json")).unwrap_err();
        assert_eq!(error.exit(), crate::cli::Exit::Environment);
        assert!(error.chain().contains("nowhere/report.json"), "{error}");
    }
}
