//! `s2spec report`: writes the other forms of a report again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::keep::CAPTURE;
use super::{out, output, saved_file};
use crate::error::{CliError, Exit};
use crate::report::{Saved, bundle_path};

/// Arguments of `report`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A report in JSON, as `run` leaves it
    file: PathBuf,

    #[command(flatten)]
    out: out::Where,
}

/// Reads the report and writes it in all forms, with the bundles that lie beside it.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let (saved, text) = saved_file::report_text(&args.file)?;
    if let Some(out) = args.out.open()? {
        let from = match args.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let missing = bring(&saved, from, out.folder())
            .map_err(|e| CliError::environment("cannot copy the bundles", e))?;
        let text = match missing.is_empty() {
            true => text,
            false => without(&text, &missing)?,
        };
        out.write(&text)?;
        if !missing.is_empty() {
            output::note(&format!(
                "{} of its bundles do not lie beside {}: the page has no links to them",
                missing.len(),
                args.file.display()
            ));
        }
    }
    Ok(Exit::Expected)
}

/// Copies the bundles of a report, with their captures. Returns the cases whose bundle is not there.
fn bring(saved: &Saved, from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let is_same = fs::canonicalize(from)? == fs::canonicalize(to)?;
    let mut missing = Vec::new();
    for case in saved.cases.iter().filter(|case| case.bundle.is_some()) {
        let path = bundle_path(&case.id);
        if !from.join(&path).is_file() {
            missing.push(case.id.clone());
        } else if !is_same {
            let there = to.join(&path);
            fs::create_dir_all(there.parent().unwrap_or(to))?;
            fs::copy(from.join(&path), &there)?;
            let capture = from.join(&path).with_extension(CAPTURE);
            match fs::copy(capture, there.with_extension(CAPTURE)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(missing)
}

/// The report without the bundles of these cases.
fn without(text: &str, missing: &[String]) -> Result<String, CliError> {
    let read = serde_json::from_str(text);
    let mut report: serde_json::Value =
        read.map_err(|e| CliError::environment("cannot read a report again", e))?;
    for case in report["cases"].as_array_mut().into_iter().flatten() {
        let is_missing = |id: &str| missing.iter().any(|one| one == id);
        if case["id"].as_str().is_some_and(is_missing)
            && let Some(fields) = case.as_object_mut()
        {
            fields.remove("bundle");
        }
    }
    output::json(&report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, to_json};

    /// A report of two cases with bundles, of which one lies there, with its capture.
    fn left(folder: &Path) -> String {
        let mut one = fixture::failed();
        one.result.case.id = "personas/row07/one/inbound".to_owned();
        let mut two = fixture::failed();
        two.result.case.id = "personas/row07/two/inbound".to_owned();
        let mut report = fixture::report(fixture::gather(vec![one, two], false));
        report.bundles = report.records.keys().cloned().collect();
        let path = folder.join(bundle_path("personas/row07/one/inbound"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a bundle").unwrap();
        fs::write(path.with_extension(CAPTURE), "a capture").unwrap();
        to_json(&report).unwrap()
    }

    #[test]
    fn bundles_come_along_and_missing_ones_are_not_linked() {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let text = left(from.path());
        let missing = bring(&Saved::read(&text).unwrap(), from.path(), to.path()).unwrap();
        assert_eq!(missing, ["personas/row07/two/inbound"]);
        let path = to.path().join(bundle_path("personas/row07/one/inbound"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a bundle");
        assert!(path.with_extension(CAPTURE).is_file());
        let saved = Saved::read(&without(&text, &missing).unwrap()).unwrap();
        let linked: Vec<bool> = saved.cases.iter().map(|one| one.bundle.is_some()).collect();
        assert_eq!(linked, [true, false]);
    }

    #[test]
    fn a_report_that_is_written_where_it_lies_keeps_its_bundles() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::read(&left(folder.path())).unwrap();
        bring(&saved, folder.path(), &folder.path().join(".")).unwrap();
        let path = folder
            .path()
            .join(bundle_path("personas/row07/one/inbound"));
        assert_eq!(fs::read_to_string(path).unwrap(), "a bundle");
    }
}
