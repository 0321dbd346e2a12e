//! One case as a test, and the summary at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libtest_mimic::{Completion, Failed};
use tokio::sync::{mpsc, oneshot};

use crate::console::{Rerun as OnCommandLine, Transcript, failure, terminal};
use crate::record::{Record, RunEvent};
use crate::transcript::printable;
use crate::verdict::Verdict;

/// Where tests wait for results of the run.
#[derive(Clone, Debug)]
pub(super) struct Bench(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rerun: Rerun,
    /// Pending results, by id. One test waits for each.
    results: Mutex<BTreeMap<String, oneshot::Receiver<Box<Record>>>>,
    remarks: Mutex<Remarks>,
}

/// How to run a single test again.
#[derive(Clone, Debug)]
pub(super) enum Rerun {
    /// With the command line and these options.
    CommandLine(Vec<String>),
    /// With cargo and these arguments before the id.
    Cargo(String),
}

/// Remarks that fail no test.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Verdicts with their reasons: the number of cases, and one of them.
    verdicts: BTreeMap<(Verdict, String), (usize, String)>,
    /// Problems outside of cases.
    pub(super) trouble: Vec<String>,
    /// Whether the run was interrupted.
    pub(super) interrupted: bool,
}

/// Delivers results to the tests that wait for them.
pub(super) struct Results {
    bench: Bench,
    waiting: BTreeMap<String, oneshot::Sender<Box<Record>>>,
}

impl Bench {
    /// A bench without results.
    pub(super) fn new(rerun: Rerun) -> Self {
        Self(Arc::new(Shared {
            rerun,
            results: Mutex::default(),
            remarks: Mutex::default(),
        }))
    }

    /// Registers tests for the results of these cases.
    pub(super) fn expect<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Results {
        let mut waiting = BTreeMap::new();
        let mut results = locked(&self.0.results);
        for id in ids {
            let (result, wait) = oneshot::channel();
            waiting.insert(id.to_owned(), result);
            results.insert(id.to_owned(), wait);
        }
        drop(results);
        Results {
            bench: self.clone(),
            waiting,
        }
    }

    /// Waits for the result of a case, as a test.
    pub(super) fn run(&self, id: &str) -> Result<Completion, Failed> {
        let wait = locked(&self.0.results).remove(id);
        let Some(wait) = wait else {
            return Err("a bug in s2spec: this test was not expected to run".into());
        };
        match wait.blocking_recv() {
            Ok(record) => self.result(&record),
            // The run ended without a result.
            Err(_) => self.without_result(),
        }
    }

    /// The remarks collected.
    pub(super) fn remarks(&self) -> MutexGuard<'_, Remarks> {
        locked(&self.0.remarks)
    }

    fn result(&self, record: &Record) -> Result<Completion, Failed> {
        match record.verdict {
            Verdict::Pass => Ok(Completion::Completed),
            Verdict::Warn | Verdict::Disputed | Verdict::Xfail => {
                let ground = (record.verdict, record.why.clone());
                self.remarks()
                    .verdicts
                    .entry(ground)
                    .or_insert_with(|| (0, record.result.case.id.clone()))
                    .0 += 1;
                Ok(Completion::Completed)
            }
            Verdict::Unsupported => Ok(Completion::ignored_with(record.why.replace('\n', " "))),
            Verdict::NotRun => Err(format!("not run: {}", record.why).into()),
            Verdict::Fail
            | Verdict::Unstable
            | Verdict::Xpass
            | Verdict::Undecided
            | Verdict::Error => Err(self.failure(record).into()),
        }
    }

    fn without_result(&self) -> Result<Completion, Failed> {
        let remarks = self.remarks();
        if remarks.interrupted {
            return Ok(Completion::ignored_with("the run was broken off"));
        }
        let trouble = remarks.trouble.join("\n");
        Err(match trouble.as_str() {
            "" => "the run ended without a result for this case".into(),
            trouble => trouble.into(),
        })
    }

    /// The command line's report of the same failure.
    fn failure(&self, record: &Record) -> String {
        let charset = terminal::charset();
        let command = self.0.rerun.command(&record.result.case.id);
        charset.fit(failure::block(
            record,
            &command,
            terminal::width(),
            charset,
            Transcript::End,
        ))
    }
}

impl Results {
    /// Follows a run to its end. Tests without a result then learn that none will come.
    pub(super) async fn follow(mut self, mut events: mpsc::Receiver<RunEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::Started { .. } | RunEvent::Repeating { .. } => {}
                RunEvent::Finished(record) => {
                    // No test waits for a case that runs only as a control.
                    if let Some(result) = self.waiting.remove(&record.result.case.id) {
                        let _ = result.send(record);
                    }
                }
                RunEvent::Breach(what) | RunEvent::Trouble(what) => {
                    self.bench.remarks().trouble.push(what)
                }
                RunEvent::Ended { interrupted, .. } => {
                    self.bench.remarks().interrupted = interrupted;
                }
            }
        }
    }
}

impl Rerun {
    fn command(&self, id: &str) -> String {
        match self {
            Self::CommandLine(options) => OnCommandLine {
                options: options.clone(),
            }
            .command(id),
            Self::Cargo(arguments) => format!("cargo test {arguments} -- --exact {id}"),
        }
    }
}

impl Remarks {
    /// All remarks, one per line.
    pub(super) fn lines(&self) -> Vec<String> {
        let verdicts = self.verdicts.iter().map(|((verdict, why), (count, id))| {
            let why = printable(why);
            match count {
                1 => format!("{verdict}: {why} ({id})"),
                count => format!("{verdict}: {why} ({count} cases, such as {id})"),
            }
        });
        let trouble = self.trouble.iter();
        verdicts
            .chain(trouble.map(|what| format!("trouble: {}", printable(what))))
            .collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
