//! Runs the suite against mutants, several at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::build;
use crate::mutant::Mutant;

/// How the suite noticed a mutant.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Noticed {
    Fail,
    Warn,
    /// Cases ended with an error: the report says nothing of the target.
    Error,
    /// Cases were left undecided: the target is only silent.
    Undecided,
    /// The run took too long, and was ended.
    Endless,
    /// Not at all: the mutant survived.
    No,
}

/// What became of a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) noticed: Noticed,
    /// How many cases failed, warned and ended with an error, of how many.
    pub(crate) counts: [u64; 4],
    /// The case of the first cause in the report, what it goes against, and its words.
    pub(crate) first: Option<[String; 3]>,
    /// Whether the first finding names what the mutant breaks.
    pub(crate) named: bool,
    pub(crate) seconds: f64,
}

/// How mutants are run.
pub(crate) struct Runner {
    /// The program with all mutants.
    pub(crate) program: PathBuf,
    /// Where scenarios are, unless they are the built-in ones.
    pub(crate) scenarios: Option<PathBuf>,
    /// Whether all cases run, or those that have to notice the mutant.
    pub(crate) all_cases: bool,
    pub(crate) limit: Duration,
}

impl Runner {
    /// Runs the mutants, several at a time, and reports each as it is done.
    pub(crate) fn run(
        &self,
        mutants: &[&Mutant],
        jobs: usize,
        done: impl FnMut(&Mutant, Verdict) + Send,
    ) -> io::Result<()> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(done);
        let work = || -> io::Result<()> {
            while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let verdict = self.one(mutant)?;
                let mut done = done.lock().expect("no other thread panics");
                done(mutant, verdict);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("no thread panics"))
        })
    }

    fn one(&self, mutant: &Mutant) -> io::Result<Verdict> {
        let reports = self.program.with_file_name("reports");
        fs::create_dir_all(&reports)?;
        let report = reports.join(format!("{}.json", mutant.id));
        let mut command = Command::new(&self.program);
        command.arg("run").env("S2SPEC_MUTANT", &mutant.id);
        if !self.all_cases {
            command.args(mutant.cases());
        }
        if let Some(scenarios) = &self.scenarios {
            command.arg("--scenarios").arg(scenarios);
        }
        command.args(["--jobs", "1", "--no-doctor", "--json"]);
        command.arg(&report).stderr(Stdio::null());
        let began = Instant::now();
        let ended = within(&mut command, self.limit)?;
        let seconds = began.elapsed().as_secs_f64();
        if !ended {
            return Ok(Verdict {
                noticed: Noticed::Endless,
                counts: [0; 4],
                first: None,
                named: false,
                seconds,
            });
        }
        let text = fs::read_to_string(&report)
            .map_err(|error| io::Error::other(format!("no report on {}: {error}", mutant.id)))?;
        fs::remove_file(&report)?;
        Ok(judge(mutant, &serde_json::from_str(&text)?, seconds))
    }
}

/// Runs the proxy's own tests that have to notice a mutant. The first that fails is the first finding.
pub(crate) fn by_tests(mutant: &Mutant) -> io::Result<Verdict> {
    let began = Instant::now();
    let output = build::tests(&mutant.tests)
        .env("S2SPEC_MUTANT", &mutant.id)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ended = text.lines().filter(|line| line.starts_with("test "));
    let failed = |line: &&str| line.ends_with("FAILED");
    let first = ended.clone().find(failed);
    let name = first.and_then(|line| line.split_whitespace().nth(1));
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Verdict {
        noticed: match name {
            Some(_) => Noticed::Fail,
            None => Noticed::No,
        },
        counts: [
            count(ended.clone().filter(failed).count()),
            0,
            0,
            count(ended.count()),
        ],
        first: name.map(|name| {
            [
                name.to_owned(),
                "a test of the proxy".to_owned(),
                String::new(),
            ]
        }),
        named: name.is_some(),
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Runs a command to its end, or ends it. Returns whether it ended by itself.
fn within(command: &mut Command, limit: Duration) -> io::Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    // Its output ends with it.
    let mut output = child.stdout.take().expect("it is piped");
    let (ended, end) = channel();
    let reader = thread::spawn(move || {
        let _ = io::copy(&mut output, &mut io::sink());
        let _ = ended.send(());
    });
    let in_time = end.recv_timeout(limit).is_ok();
    if !in_time {
        child.kill()?;
    }
    child.wait()?;
    let _ = reader.join();
    Ok(in_time)
}

fn judge(mutant: &Mutant, report: &Value, seconds: f64) -> Verdict {
    let count = |verdict: &str| report["summary"][verdict].as_u64().unwrap_or_default();
    let counts = [count("fail"), count("warn"), count("error"), count("run")];
    let weights = [
        ("fail", Noticed::Fail),
        ("error", Noticed::Error),
        ("warn", Noticed::Warn),
        ("undecided", Noticed::Undecided),
    ];
    let heaviest = weights.into_iter().find(|(word, _)| count(word) > 0);
    let noticed = heaviest.map_or(Noticed::No, |(_, noticed)| noticed);
    let mut cases = report["cases"].as_array().into_iter().flatten();
    let heaviest = heaviest.map(|(word, _)| word);
    let case = cases.find(|case| case["verdict"].as_str() == heaviest);
    let first = first_cause(report).or_else(|| {
        let why = case?["why"].as_str().unwrap_or_default();
        let id = case?["id"].as_str().unwrap_or_default();
        Some([id.to_owned(), String::new(), why.to_owned()])
    });
    let named = first
        .as_ref()
        .is_some_and(|[_, against, _]| mutant.requirements.contains(against));
    Verdict {
        noticed,
        counts,
        first,
        named,
        seconds,
    }
}

/// What the report shows first: a case, the requirement or rule of the oracle that it goes against, and
/// the words.
fn first_cause(report: &Value) -> Option<[String; 3]> {
    let cause = &report["causes"][0];
    let case = cause["cases"][0].as_str()?;
    let mut cases = report["cases"].as_array()?.iter();
    let decided = cases.find(|one| one["id"].as_str() == Some(case))?;
    let requirement = cause["clause"]["requirement"].as_str();
    let against = requirement.or_else(|| decided["allowed"]["rule"].as_str())?;
    let text = cause["text"].as_str().unwrap_or_default();
    Some([case, against, text].map(str::to_owned))
}

/// The verdicts of earlier runs, by mutant.
pub(crate) fn earlier(path: &Path) -> BTreeMap<String, Verdict> {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
