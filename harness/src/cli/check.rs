//! `s2spec check`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use simulated_partners::document::{FileError, Source};

use super::output;
use crate::baseline::Baseline;
use crate::case::Case;
use crate::console::words;
use crate::error::{CliError, Exit};
use crate::kind::{self, Kind};
use crate::matrix;
use crate::policy::PolicyNumber;
use crate::scenario::{Catalogue, Library, schema};
use crate::subject::remote::TargetFile;
use crate::suite::Beside;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, or folders with files: scenarios, personas, requirements, target files and baselines
    #[arg(value_name = "PATH", default_value = "scenarios")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    beside: Beside,

    /// Print the JSON schema of scenario files, for editors
    #[arg(long, conflicts_with = "paths")]
    schema: bool,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    if args.schema {
        output::print(&schema())?;
        return Ok(Exit::Expected);
    }
    let (files, mut wrong) = kind::files(&args.paths);
    if files.is_empty() && wrong.is_empty() {
        let paths: Vec<String> = args.paths.iter().map(|p| p.display().to_string()).collect();
        let text = format!("no file ending in .toml below {}", paths.join(", "));
        return Err(CliError::NothingSelected(text));
    }
    let mut kinds: BTreeMap<Kind, Vec<Source>> = BTreeMap::new();
    for (kind, source) in files {
        kinds.entry(kind).or_default().push(source);
    }
    let of = |kind| kinds.get(&kind).map_or(&[][..], Vec::as_slice);
    // Scenarios may name what is in the files beside them. A mistake in one file is none of the others'.
    let (requirements, personas) = (of(Kind::Requirements), of(Kind::Persona));
    let (catalogue, errors) = args.beside.catalogue(requirements, personas)?;
    wrong.extend(errors);
    let (library, errors) = Library::read(of(Kind::Scenario), &catalogue);
    wrong.extend(errors);
    for source in of(Kind::Target) {
        let target = TargetFile::parse(Path::new(source.file()), source.text(), true);
        wrong.extend(target.err());
    }
    wrong.extend(mistakes_of_baselines(
        of(Kind::Baseline),
        &catalogue,
        &library,
    ));
    if !wrong.is_empty() {
        return Err(CliError::Files(wrong));
    }
    let mut counts: Vec<String> = Vec::new();
    for (kind, files) in &kinds {
        let count = counted(files.len(), *kind);
        counts.push(match kind {
            Kind::Scenario => format!(
                "{count} with {}",
                words::counted(library.cases().len(), "case")
            ),
            Kind::Persona | Kind::Requirements | Kind::Target | Kind::Baseline => count,
        });
    }
    output::print(&format!("{}: no mistakes\n", counts.join(", ")))?;
    Ok(Exit::Expected)
}

/// The mistakes of baselines, which may list any case of the built-in suite and of these files.
fn mistakes_of_baselines(
    sources: &[Source],
    catalogue: &Catalogue,
    own: &Library,
) -> Vec<FileError> {
    if sources.is_empty() {
        return Vec::new();
    }
    let rows: Vec<PolicyNumber> = PolicyNumber::all().collect();
    let mut all: Vec<Case> = matrix::cases(catalogue.personas());
    for library in [Library::builtin(), own] {
        all.extend(library.cases());
        all.extend(library.cases_in(Some(&rows)));
    }
    let read = sources.iter().map(|source| Baseline::parse(source, &all));
    read.filter_map(Result::err).collect()
}

fn counted(count: usize, kind: Kind) -> String {
    let (one, several) = match kind {
        Kind::Scenario => ("scenario", "scenarios"),
        Kind::Persona => ("persona", "personas"),
        Kind::Requirements => ("file of requirements", "files of requirements"),
        Kind::Target => ("target file", "target files"),
        Kind::Baseline => ("baseline", "baselines"),
    };
    format!("{count} {}", if count == 1 { one } else { several })
}
