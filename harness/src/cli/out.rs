//! The folder that a run leaves: its report in all forms.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::keep::CAPTURE;
use super::{new_files, output};
use crate::error::CliError;
use crate::report::{self, Saved};

/// How many folders of earlier runs are kept.
const KEPT: usize = 10;
/// The folder outside of a cargo project.
const FOLDER: &str = "s2spec-out";
/// The name of the link to the last run.
const LATEST: &str = "latest";

/// Where the report goes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Where {
    /// Folder for the report: HTML, JSON, JUnit and Markdown [default: a new one in target/s2spec, or in
    /// s2spec-out where there is no Cargo.lock]
    #[arg(short, long, value_name = "DIR", env = "S2SPEC_OUT")]
    out: Option<PathBuf>,

    /// Leave no folder with the report
    #[arg(long, conflicts_with = "out", env = "S2SPEC_NO_OUT", value_parser = clap::builder::FalseyValueParser::new())]
    no_out: bool,
}

impl Where {
    /// Makes the folder before the run, so that no result is lost after it.
    ///
    /// # Errors
    /// When it cannot be made, or nothing can be written there.
    pub(super) fn open(&self) -> Result<Option<Out>, CliError> {
        if self.no_out {
            return Ok(None);
        }
        if let Some(folder) = &self.out {
            new_files::folder(folder)?;
            return Ok(Some(Out {
                folder: folder.clone(),
                latest: None,
            }));
        }
        let parent = usual();
        new_files::folder(&parent)?;
        prune(&parent);
        let folder = fresh(&parent).map_err(|e| failed(&parent, e))?;
        Ok(Some(Out {
            latest: Some(parent.join(LATEST)),
            folder,
        }))
    }
}

/// A folder for one report.
pub(super) struct Out {
    folder: PathBuf,
    latest: Option<PathBuf>,
}

impl Out {
    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the bundles that belong to the report of an earlier run.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub(super) fn remove_bundles(&self) -> Result<(), CliError> {
        let bundles = self.folder.join("bundles");
        if !self.folder.join("report.json").is_file() || !bundles.is_dir() {
            return Ok(());
        }
        let is_ours = |path: &PathBuf| {
            let end = path.extension().and_then(|end| end.to_str());
            path.is_file() && matches!(end, Some("json" | CAPTURE))
        };
        let entries = fs::read_dir(&bundles).map_err(|e| failed(&bundles, e))?;
        let mut old = entries.flatten().map(|entry| entry.path()).filter(is_ours);
        old.try_for_each(|path| fs::remove_file(&path).map_err(|e| failed(&path, e)))
    }

    /// Writes the report in all forms.
    ///
    /// # Errors
    /// When the disk is full, or the folder is gone.
    pub(super) fn write(&self, json: &str) -> Result<(), CliError> {
        let saved = again(json)?;
        let junit = report::to_junit(&saved)
            .map_err(|e| CliError::environment("cannot write the report as JUnit", e))?;
        let markdown = report::to_markdown(&saved);
        for (name, text) in [
            ("report.json", json),
            ("report.html", &report::to_html(&saved)),
            ("junit.xml", &junit),
            ("summary.md", &markdown),
        ] {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(|e| failed(&path, e))?;
        }
        self.link();
        tell_github(&saved, &markdown);
        let page = self.folder.join("report.html");
        output::note(&format!("report: {}", page.display()));
        Ok(())
    }

    /// A link to the last run. Where the system has none, the folder's name has the time.
    fn link(&self) {
        let (Some(latest), Some(name)) = (&self.latest, self.folder.file_name()) else {
            return;
        };
        let _ = fs::remove_file(latest);
        #[cfg(unix)]
        let _ = std::os::unix::fs::symlink(name, latest);
    }
}

/// The report of the last run that left one in the usual place.
pub(super) fn last() -> PathBuf {
    usual().join(LATEST).join("report.json")
}

/// The folder for folders of runs: that of the build, in a cargo project.
fn usual() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let project = here
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file());
    match project {
        Some(project) => project.join("target").join("s2spec"),
        None => PathBuf::from(FOLDER),
    }
}

/// A new folder, named by the time.
fn fresh(parent: &Path) -> io::Result<PathBuf> {
    let now = OffsetDateTime::now_utc();
    let name = format!(
        "{}-{:02}-{:02}T{:02}-{:02}-{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    );
    let mut number = 1;
    loop {
        let folder = match number {
            1 => parent.join(&name),
            more => parent.join(format!("{name}-{more}")),
        };
        match fs::create_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| folder),
        }
    }
}

/// Removes the oldest folders of runs. What is no folder of a run stays.
fn prune(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let is_run = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        !path.is_symlink() && path.is_dir() && name.starts_with("20") && name.contains('T')
    };
    let mut runs: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_run)
        .collect();
    runs.sort();
    let old = runs.len().saturating_sub(KEPT - 1);
    for run in &runs[..old] {
        let _ = fs::remove_dir_all(run);
    }
}

/// Whether the program runs in a workflow of GitHub.
pub(super) fn is_on_github() -> bool {
    ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Shows a report on GitHub that goes to no folder.
///
/// # Errors
/// When it cannot be read, which is a bug.
pub(super) fn only_on_github(json: &str) -> Result<(), CliError> {
    let saved = again(json)?;
    tell_github(&saved, &report::to_markdown(&saved));
    Ok(())
}

fn again(json: &str) -> Result<Saved, CliError> {
    Saved::read(json)
        .map_err(|e| CliError::environment("cannot read the report that was just made", e))
}

/// Adds the summary to that of a job on GitHub, and shows beside it what failed.
fn tell_github(saved: &Saved, markdown: &str) {
    let annotations = report::to_annotations(saved);
    if std::env::var_os("GITHUB_ACTIONS").is_some() && !annotations.is_empty() {
        output::note(annotations.trim_end());
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") else {
        return;
    };
    let file = File::options().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(markdown.as_bytes())) {
        output::note(&format!("cannot add to {}: {error}", path.display()));
    }
}

fn failed(path: &Path, error: io::Error) -> CliError {
    CliError::environment(format!("cannot write {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_two_runs_in_one_second_differ_and_old_ones_go() {
        let parent = tempfile::tempdir().unwrap();
        let made: Vec<PathBuf> = (0..KEPT + 3)
            .map(|_| fresh(parent.path()).unwrap())
            .collect();
        fs::create_dir(parent.path().join("mine")).unwrap();
        prune(parent.path());
        let left = made.iter().filter(|one| one.is_dir()).count();
        assert_eq!(left, KEPT - 1, "one more is about to be made");
        assert!(parent.path().join("mine").is_dir());
    }
}
