//! One case as a test, and what is to be said of all of them at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Completion, Failed};
use tokio::runtime::Handle;

use crate::cli::output;
use crate::report;
use crate::runner::{OnDemand, Record, Verdict};
use crate::transcript::printable;

/// What the tests of one process share. It is empty where tests are only listed.
#[derive(Clone, Default)]
pub(super) struct Bench(Arc<OnceLock<Opened>>);

pub(super) struct Opened {
    pub(super) cases: Arc<OnDemand>,
    pub(super) runtime: Handle,
    pub(super) rerun: Rerun,
    pub(super) remarks: Mutex<Remarks>,
}

/// How a single test is run again.
#[derive(Clone, Debug)]
pub(super) enum Rerun {
    /// By the command line, with these options.
    CommandLine(Vec<String>),
    /// By cargo, with these arguments before the id.
    Cargo(String),
}

/// Verdicts that fail no test, by their grounds: how many cases, and one of them.
pub(super) type Remarks = BTreeMap<(Verdict, String), (usize, String)>;

impl Bench {
    /// Opens the bench, once.
    pub(super) fn open(&self, opened: Opened) {
        let first = self.0.set(opened).is_ok();
        debug_assert!(first, "a bench is opened once");
    }

    /// Runs a case as a test.
    pub(super) fn run(&self, id: &str) -> Result<Completion, Failed> {
        let Some(opened) = self.0.get() else {
            return Ok(Completion::ignored_with("nothing is run in this process"));
        };
        match opened.runtime.block_on(opened.cases.run(id)) {
            Ok(record) => opened.result(&record),
            Err(broken_off) => Ok(Completion::ignored_with(broken_off)),
        }
    }

    /// Takes the bench apart at the end.
    pub(super) fn into_opened(self) -> Option<Opened> {
        Arc::into_inner(self.0).and_then(OnceLock::into_inner)
    }
}

impl Opened {
    fn result(&self, record: &Record) -> Result<Completion, Failed> {
        match record.verdict {
            Verdict::Pass => Ok(Completion::Completed),
            Verdict::Warn | Verdict::Disputed | Verdict::Xfail => {
                let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
                let ground = (record.verdict, record.why.clone());
                remarks
                    .entry(ground)
                    .or_insert_with(|| (0, record.case.id.clone()))
                    .0 += 1;
                Ok(Completion::Completed)
            }
            Verdict::Unsupported => Ok(Completion::ignored_with(record.why.replace('\n', " "))),
            Verdict::Fail | Verdict::Unstable | Verdict::Xpass | Verdict::Error => {
                Err(self.failure(record).into())
            }
        }
    }

    /// What the command line tells of the same failure.
    fn failure(&self, record: &Record) -> String {
        let charset = output::charset();
        let command = self.rerun.command(&record.case.id);
        charset.fit(report::failure(
            record,
            &command,
            output::width(),
            charset,
            false,
        ))
    }
}

impl Rerun {
    fn command(&self, id: &str) -> String {
        match self {
            Self::CommandLine(options) => report::Rerun {
                options: options.clone(),
            }
            .command(id),
            Self::Cargo(arguments) => format!("cargo test {arguments} -- --exact {id}"),
        }
    }
}

/// The remarks as lines.
pub(super) fn lines(remarks: &Remarks) -> Vec<String> {
    remarks
        .iter()
        .map(|((verdict, why), (count, id))| {
            let verdict = report::word(verdict);
            let why = printable(why);
            match count {
                1 => format!("{verdict}: {why} ({id})"),
                count => format!("{verdict}: {why} ({count} cases, such as {id})"),
            }
        })
        .collect()
}
