//! A target file of the user's own.

use std::path::Path;

use simulated_partners::document::FileError;
use simulated_partners::nearest::{did_you_mean, nearest};

use crate::error::CliError;
use crate::subject::remote::TargetFile;

/// Reads a target file.
///
/// # Errors
/// When it cannot be read (similar files are suggested), or is not a target file.
pub fn target_file(path: &Path, allow_remote: bool) -> Result<TargetFile, CliError> {
    TargetFile::load(path, allow_remote).map_err(|error| match error {
        FileError::Unreadable { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            let names = neighbours(&path);
            let wrong = path.file_name().unwrap_or_default().to_string_lossy();
            let alike = nearest(&wrong, names.iter().map(String::as_str));
            let doing = format!("cannot read the target file {}", path.display());
            let why = format!(
                "it is not there{} (`s2spec init` writes one)",
                did_you_mean(&alike)
            );
            CliError::environment(doing, why)
        }
        error => error.into(),
    })
}

/// TOML files in the same folder.
fn neighbours(path: &Path) -> Vec<String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    names
}
