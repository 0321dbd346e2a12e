//! Options of `run` for what is expected and how often cases are run.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use simulated_partners::pki;

use super::json_file::JsonFile;
use super::{number, output};
use crate::baseline::{self, Baseline, BaselineCheck};
use crate::case::Case;
use crate::error::CliError;
use crate::record::Record;
use crate::report::Report;
use crate::runner::{Repetition, Rounds};

/// What is expected of the target.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Expecting {
    /// Known deviations of the target: cases may fail for a listed cause (`xfail`); failing
    /// differently is unexpected, and so is a listed cause that no case shows
    #[arg(long, value_name = "FILE", env = "S2SPEC_BASELINE")]
    baseline: Option<PathBuf>,

    /// Write the failures of this run to a baseline, for you to fill in the reasons; those that the file
    /// already has are kept
    #[arg(long, value_name = "FILE", env = "S2SPEC_WRITE_BASELINE")]
    write_baseline: Option<PathBuf>,

    /// Treat warnings as failures
    #[arg(long, env = "S2SPEC_STRICT", value_parser = FalseyValueParser::new())]
    strict: bool,

    /// Run failing cases up to N more times; a case that then ends differently is `unstable`, never
    /// a pass
    #[arg(long, value_name = "N", value_parser = number::count::<u32>, env = "S2SPEC_RETRIES",
          conflicts_with_all = ["repeat", "until_fail"])]
    retries: Option<u32>,

    /// Run each case N times; it is `unstable` if the results differ
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroU32>, env = "S2SPEC_REPEAT")]
    repeat: Option<NonZeroU32>,

    /// Repeat the cases until a result is unexpected, or Ctrl-C; at most `--repeat` times
    #[arg(long, env = "S2SPEC_UNTIL_FAIL", value_parser = FalseyValueParser::new())]
    until_fail: bool,
}

impl Expecting {
    /// Whether cases outside the selection must be known, because a baseline may refer to them.
    pub(super) fn needs_all(&self) -> bool {
        self.baseline.is_some() || self.write_baseline.is_some()
    }

    /// Reads the baseline.
    ///
    /// # Errors
    /// When it cannot be read or has mistakes.
    pub(super) fn check(&self, all: &[Case]) -> Result<BaselineCheck, CliError> {
        let baseline = self.baseline.as_ref().map(|path| Baseline::load(path, all));
        Ok(BaselineCheck {
            baseline: baseline.transpose()?,
            strict: self.strict,
            today: pki::today(),
        })
    }

    pub(super) fn repetition(&self) -> Repetition {
        match (self.retries.and_then(NonZeroU32::new), self.repeat) {
            (Some(retries), _) => Repetition::Retries(retries),
            (None, None) if !self.until_fail => Repetition::Once,
            (None, at_most) => Repetition::Rounds(Rounds {
                at_most,
                until_unexpected: self.until_fail,
            }),
        }
    }

    /// The options that change how one case ends.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(path) = &self.baseline {
            options.push(format!("--baseline {}", output::shell_word(path)));
        }
        if self.strict {
            options.push("--strict".to_owned());
        }
        options
    }

    /// Checks before the run that the new baseline can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub(super) fn open_new(&self) -> Result<Option<NewBaseline>, CliError> {
        let Some(path) = &self.write_baseline else {
            return Ok(None);
        };
        if path == Path::new("-") {
            return Err(CliError::Usage(
                "--write-baseline needs a file name: standard output has the report".to_owned(),
            ));
        }
        let old = path.is_file().then(|| Baseline::load_explained(path));
        Ok(Some(NewBaseline {
            path: path.clone(),
            old: old.transpose()?,
            file: JsonFile::open(path)?,
        }))
    }
}

/// A baseline that is written after the run.
pub(super) struct NewBaseline {
    path: PathBuf,
    /// What the file says, with its reasons.
    old: Option<Baseline>,
    file: JsonFile,
}

impl NewBaseline {
    /// Writes the results, and says what is left to do.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(
        self,
        report: &Report,
        check: &BaselineCheck,
        all: &[Case],
    ) -> Result<(), CliError> {
        let mut known = check.clone();
        if let Some(mut old) = self.old {
            if let Some(given) = known.baseline.take() {
                old.absorb(given);
            }
            known.baseline = Some(old);
        }
        let judged =
            |(id, record): (&String, &Record)| (id.clone(), known.judge(record.result.clone()));
        let records = report.records.iter().map(judged).collect();
        let written = baseline::write(&report.target, &records, &known, all);
        self.file.write(&written.text)?;
        let gone = match written.gone {
            0 => String::new(),
            gone => format!(", {gone} no longer seen, which are comments now"),
        };
        let todo = if written.new > 0 {
            "; fill in each empty `why`"
        } else {
            ""
        };
        output::note(&format!(
            "{}: {} new, {} kept{gone}{todo}",
            self.path.display(),
            written.new,
            written.kept
        ));
        Ok(())
    }
}
