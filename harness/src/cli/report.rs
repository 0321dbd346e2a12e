//! `s2spec report`: writes the other forms of a report again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::keep::CAPTURE;
use super::schema::{Document, schema};
use super::{out, output, saved_file};
use crate::error::{CliError, Exit};
use crate::report::{Saved, bundle_path};

/// Arguments of `report`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A report in JSON, as `run` leaves it
    #[arg(required_unless_present = "schema")]
    file: Option<PathBuf>,

    #[command(flatten)]
    out: out::Where,

    /// Print the JSON schema of what a run leaves
    #[arg(long, value_enum, value_name = "DOCUMENT", conflicts_with = "file")]
    schema: Option<Document>,
}

/// Reads the report and writes it in all forms, with the bundles that lie beside it.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    if let Some(document) = args.schema {
        output::print(&schema(document))?;
    }
    let Some(file) = &args.file else {
        return Ok(Exit::Expected);
    };
    let (saved, text) = saved_file::report_text(file)?;
    if let Some(out) = args.out.open()? {
        let missing = bring(&saved, file, out.folder())?;
        out.write(&without(&text, &missing)?)?;
        say_missing(&missing, &file.display().to_string());
    }
    Ok(Exit::Expected)
}

/// Copies the bundles that lie beside a report, with their captures. Returns the cases whose bundle is not
/// there.
///
/// # Errors
/// When one cannot be copied.
pub(super) fn bring(saved: &Saved, file: &Path, to: &Path) -> Result<Vec<String>, CliError> {
    let from = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    copied(saved, from, to).map_err(|e| CliError::environment("cannot copy the bundles", e))
}

/// Says that pages do not lead to these bundles.
pub(super) fn say_missing(missing: &[String], report: &str) {
    let text = match missing {
        [] => return,
        [_] => "one of its bundles does".to_owned(),
        many => format!("{} of its bundles do", many.len()),
    };
    output::note(&format!(
        "{text} not lie beside {report}: the page has no link to what is missing"
    ));
}

/// The cases of a report that have a bundle.
pub(super) fn with_bundle(saved: &Saved) -> Vec<String> {
    let cases = saved.cases.iter().filter(|case| case.bundle.is_some());
    cases.map(|case| case.id.clone()).collect()
}

fn copied(saved: &Saved, from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let is_same = fs::canonicalize(from)? == fs::canonicalize(to)?;
    let mut missing = Vec::new();
    for id in with_bundle(saved) {
        let path = bundle_path(&id);
        if !from.join(&path).is_file() {
            missing.push(id);
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
///
/// # Errors
/// When it is no JSON.
pub(super) fn without(text: &str, missing: &[String]) -> Result<String, CliError> {
    if missing.is_empty() {
        return Ok(text.to_owned());
    }
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
        let missing = copied(&Saved::read(&text).unwrap(), from.path(), to.path()).unwrap();
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
        copied(&saved, folder.path(), &folder.path().join(".")).unwrap();
        let path = folder
            .path()
            .join(bundle_path("personas/row07/one/inbound"));
        assert_eq!(fs::read_to_string(path).unwrap(), "a bundle");
    }
}
