//! What a run keeps of its cases: bundles, which `s2spec replay` runs again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;

use super::output;
use super::target::{Chosen, Tested};
use crate::bundle::{Bundle, Circumstances, pcapng};
use crate::console::words::counted;
use crate::error::CliError;
use crate::judge::Cause;
use crate::oracle::Profile;
use crate::record::Record;
use crate::report::{Report, bundle_path};
use crate::runner::Keeps;
use crate::scenario::Catalogue;
use crate::verdict::Verdict;

/// The most bundles of cases that did not end as expected: more than anybody looks at.
const MOST: usize = 200;
/// The ending of captures.
pub(super) const CAPTURE: &str = "pcapng";

/// What is kept.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Keeping {
    /// Which cases leave a bundle, from which `s2spec replay` runs them again
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHICH",
        env = "S2SPEC_KEEP"
    )]
    keep: Keep,

    /// Also leave a capture of the connections beside each bundle, with what decrypts them (pcapng)
    #[arg(long, conflicts_with = "no_out", env = "S2SPEC_CAPTURE", value_parser = FalseyValueParser::new())]
    capture: bool,
}

/// Which cases leave a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Keep {
    /// Those that did not end as expected, at most 200.
    #[default]
    Failing,
    /// All that were run.
    All,
    /// None.
    None,
}

impl Keeping {
    /// What contradicts itself in it.
    ///
    /// # Errors
    /// When captures are wanted, and nothing beside which they lie.
    pub(super) fn check(&self) -> Result<(), CliError> {
        match self {
            Self {
                capture: true,
                keep: Keep::None,
            } => Err(CliError::Usage(
                "--capture leaves a capture beside each bundle, and --keep none leaves no bundle: \
                 leave one of them out"
                    .to_owned(),
            )),
            Self { .. } => Ok(()),
        }
    }

    /// What the runner keeps of cases, for bundles in the folder of a run.
    pub(super) fn keeps(&self, folder: Option<&Path>) -> Option<Keeps> {
        let is_wanted = folder.is_some() && self.keep != Keep::None;
        is_wanted.then_some(Keeps {
            passes: self.keep == Keep::All,
            traffic: self.capture,
        })
    }

    /// What writes the bundles.
    pub(super) fn bundles(
        &self,
        folder: Option<&Path>,
        run: Circumstances,
        with_transcripts: bool,
    ) -> Option<Bundles> {
        Some(Bundles {
            keeps: self.keeps(folder)?,
            folder: folder?.to_owned(),
            run,
            with_transcripts,
            written: BTreeSet::new(),
            failed: None,
        })
    }
}

/// What the cases of a run have in common.
///
/// # Errors
/// When the target file cannot be read.
pub(super) fn circumstances(
    tested: &Tested,
    profile: Profile,
    seed: u64,
    timeout: std::time::Duration,
    catalogue: &Catalogue,
) -> Result<Circumstances, CliError> {
    let (built_in, target_file) = match &tested.target {
        Chosen::File(path) => {
            let text = fs::read_to_string(path)
                .map_err(|e| CliError::environment(format!("cannot read {}", path.display()), e))?;
            (None, Some((path.display().to_string(), text)))
        }
        built_in => (Some(built_in.to_string()), None),
    };
    Ok(Circumstances {
        built_in,
        target_file,
        seed,
        profile,
        timeout,
        catalogue: catalogue.clone(),
    })
}

/// Writes bundles into the folder of a run.
pub(super) struct Bundles {
    keeps: Keeps,
    folder: PathBuf,
    run: Circumstances,
    /// Whether the report shows the transcripts of all cases.
    with_transcripts: bool,
    written: BTreeSet<String>,
    /// The first that could not be written.
    failed: Option<CliError>,
}

impl Bundles {
    /// Takes a result while the run goes. Where all are kept, it is written at once, so that not all
    /// transcripts are held.
    pub(super) fn take(&mut self, record: &mut Record, target: &str) {
        if self.keeps.passes && was_run(record) {
            self.write(record, target);
            if record.verdict == Verdict::Pass && !self.with_transcripts {
                record.result.forget_events();
            }
        }
    }

    /// Writes what is to be written at the end, and notes in the report which cases have a bundle.
    ///
    /// # Errors
    /// When a bundle could not be written.
    pub(super) fn end(mut self, report: &mut Report) -> Result<(), CliError> {
        if !self.keeps.passes {
            let mut ids = clearest_first(report);
            report.without_bundle = ids.len().saturating_sub(MOST);
            ids.truncate(MOST);
            for id in ids {
                if let Some(record) = report.records.get(&id) {
                    self.write(record, &report.target);
                }
            }
            if report.without_bundle > 0 {
                output::note(&format!(
                    "{MOST} bundles were written, the clearest of each cause first, and none of {} \
                     (`--keep all` leaves one of each)",
                    counted(report.without_bundle, "more case")
                ));
            }
        }
        report.bundles = self.written;
        self.failed.map_or(Ok(()), Err)
    }

    /// After an error no more are written.
    fn write(&mut self, record: &Record, target: &str) {
        if self.failed.is_some() {
            return;
        }
        let id = &record.result.case.id;
        let path = self.folder.join(bundle_path(id));
        let bundle = Bundle::of(record, target, &self.run);
        let text = bundle.and_then(|bundle| serde_json::to_string_pretty(&bundle));
        let scene = record.result.scene.as_ref();
        let capture = scene.and_then(|scene| scene.capture.as_ref());
        let written = text.map_err(io::Error::from).and_then(|text| {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            if let Some(capture) = capture {
                fs::write(path.with_extension(CAPTURE), pcapng(&capture.traffic()))?;
            }
            fs::write(&path, text + "\n")
        });
        match written {
            Ok(()) => {
                self.written.insert(id.clone());
            }
            Err(error) => {
                let doing = format!("cannot write {}", path.display());
                self.failed = Some(CliError::environment(doing, error));
            }
        }
    }
}

fn was_run(record: &Record) -> bool {
    !matches!(record.verdict, Verdict::Unsupported | Verdict::NotRun)
}

/// The cases that did not end as expected: the clearest of each cause, then the next of each, then those
/// without a cause.
fn clearest_first(report: &Report) -> Vec<String> {
    let is_wanted = |id: &String| {
        report.records.get(id).is_some_and(|record| {
            let open = matches!(record.verdict, Verdict::Error | Verdict::Undecided);
            record.verdict.is_unexpected() || open
        })
    };
    let causes: Vec<Cause> = report.causes();
    let of_causes = causes.iter().map(|cause| {
        let ids = cause.cases.iter().filter(|id| is_wanted(id));
        ids.collect::<Vec<_>>()
    });
    let of_causes: Vec<Vec<&String>> = of_causes.collect();
    let longest = of_causes.iter().map(Vec::len).max().unwrap_or(0);
    let in_turns = (0..longest).flat_map(|at| of_causes.iter().filter_map(move |ids| ids.get(at)));
    let rest = report.records.keys().filter(|id| is_wanted(id));
    let mut seen = BTreeSet::new();
    let all = in_turns.copied().chain(rest);
    all.filter(|id| seen.insert(*id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn captures_without_bundles_are_refused() {
        let capture = true;
        let keeping = |keep| Keeping { keep, capture };
        assert!(keeping(Keep::None).check().is_err());
        assert!(keeping(Keep::Failing).check().is_ok());
    }

    fn keeping(keep: Keep) -> Keeping {
        Keeping {
            keep,
            capture: false,
        }
    }

    fn bundles(folder: &Path, keep: Keep) -> Bundles {
        let run = Circumstances {
            built_in: Some("reference".to_owned()),
            target_file: None,
            seed: 1,
            profile: Profile::default(),
            timeout: std::time::Duration::from_secs(10),
            catalogue: Catalogue::builtin().clone(),
        };
        let bundles = keeping(keep).bundles(Some(folder), run, false);
        bundles.expect("they are kept")
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder.join("bundles")).map_or(0, Iterator::count)
    }

    #[test]
    fn the_clearest_of_each_cause_are_kept_and_the_others_are_counted() {
        let mut records = Vec::new();
        for number in 0..MOST + 30 {
            let mut record = fixture::failed();
            record.result.case.id = format!("personas/row07/number-{number:03}/inbound");
            records.push(record);
        }
        let mut other = fixture::judged(fixture::showing(Verdict::Error));
        other.result.case.id = "personas/row07/zero/inbound".to_owned();
        records.push(other);
        let mut report = fixture::report(fixture::gather(records, false));
        let first = report.causes()[0].cases[0].clone();
        let folder = tempfile::tempdir().unwrap();
        bundles(folder.path(), Keep::Failing)
            .end(&mut report)
            .unwrap();
        assert_eq!(report.bundles.len(), MOST);
        assert_eq!(report.without_bundle, 31);
        assert_eq!(count(folder.path()), MOST);
        assert!(report.bundles.contains(&first));
    }

    #[test]
    fn passes_leave_a_bundle_only_where_all_are_kept() {
        let pass = || fixture::judged(fixture::showing(Verdict::Pass));
        for (keep, wanted) in [(Keep::Failing, 0), (Keep::All, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let mut bundles = bundles(folder.path(), keep);
            let mut record = pass();
            bundles.take(&mut record, "a server");
            let mut report = fixture::report(fixture::gather(vec![record], false));
            bundles.end(&mut report).unwrap();
            assert_eq!(count(folder.path()), wanted);
            assert_eq!(report.bundles.len(), wanted);
        }
        let run = bundles(Path::new("nowhere"), Keep::All).run;
        let none = keeping(Keep::None);
        assert!(none.bundles(Some(Path::new("a")), run, false).is_none());
    }
}
