//! What becomes of a case: first what it showed, then the verdict on it.

use std::time::Duration;

use simulated_partners::event::Event;

use crate::case::Case;
use crate::expectation::Expectation;
use crate::finding::Finding;
use crate::outcome::Outcome;
use crate::verdict::Verdict;

/// What a case showed. The verdict is made of this, and of what is known of the target.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// What was run.
    pub case: Case,
    /// What the oracle allows. None where a scenario says what is allowed.
    pub allowed: Option<Expectation>,
    /// How it went.
    pub run: Run,
    /// The neighbour that has to be accepted where this case may be refused.
    pub control: Option<Control>,
    /// Whether the case ran only as a control of another.
    pub added_as_control: bool,
    /// What repetitions showed, where there were any.
    pub repeated: Option<Repeated>,
    /// Where the time went.
    pub timings: Timings,
    /// All observations of the main partner, in order. Empty for a pass unless transcripts were asked
    /// for.
    pub events: Vec<Event>,
    /// The negotiation in one line: who sent what, in order.
    pub wire: String,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// It was not run: the target cannot be set so, or lacks something. With the reason.
    Unsupported(String),
    /// The harness or its environment failed, which says nothing of the target. With the reason.
    Failed(String),
    /// It came to an end.
    Ended {
        /// How it ended.
        outcome: Outcome,
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
}

/// The neighbour of a case that has to be accepted: without it a refusal proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The id of its case.
    pub id: String,
    /// What became of it.
    pub state: ControlState,
}

/// What became of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlState {
    /// Nothing yet.
    Pending,
    /// It was established, or showed what its scenario wants.
    Accepted,
    /// It was not.
    Missed,
    /// The harness or its environment failed.
    Failed,
}

impl CaseResult {
    /// A case that has not been run.
    pub fn not_run(case: Case, run: Run) -> Self {
        Self {
            case,
            allowed: None,
            run,
            control: None,
            added_as_control: false,
            repeated: None,
            timings: Timings::default(),
            events: Vec::new(),
            wire: String::new(),
        }
    }

    /// How it ended, where it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.run {
            Run::Ended { outcome, .. } => Some(outcome),
            Run::Unsupported(_) | Run::Failed(_) => None,
        }
    }

    /// What is wrong with it.
    pub fn findings(&self) -> &[Finding] {
        match &self.run {
            Run::Ended { findings, .. } => findings,
            Run::Unsupported(_) | Run::Failed(_) => &[],
        }
    }
}

/// A case with its verdict.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it showed.
    pub result: CaseResult,
    /// The judgement.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// What the baseline, or strictness, made of the verdict.
    pub settled: Option<BaselineMatch>,
}

/// How a verdict was settled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BaselineMatch {
    /// The verdict without a baseline.
    pub was: Verdict,
    /// The entry that decided, as `known.toml:12`; none where it was strictness alone.
    pub entry: Option<String>,
}

/// What repetitions of a case showed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Repeated {
    /// How often it was run.
    pub runs: u32,
    /// How often it had another verdict or outcome than the first time.
    pub ended_otherwise: u32,
    /// How often only the transcript was another one than the first time.
    pub went_otherwise: u32,
    /// Where two transcripts part for the first time.
    pub divergence: Option<Divergence>,
    /// Why the runs cannot be taken for one result, where they cannot.
    #[serde(skip)]
    pub unstable: Option<String>,
}

/// The first event in which two canonical transcripts differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Divergence {
    /// The rounds that are compared, counted from 1.
    pub rounds: [u32; 2],
    /// The event's number in both, counted from 1.
    pub event: usize,
    /// What it was in each; none where that transcript was at its end.
    pub lines: [Option<String>; 2],
    /// Whether it is on the connection that decides the case.
    pub decides: bool,
}

/// Where the time of a case went. Nothing where it did not come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Timings {
    /// From start to the TCP connection.
    pub connect: Option<Duration>,
    /// Of the TLS handshake.
    pub tls: Option<Duration>,
    /// From then until authenticated.
    pub auth: Option<Duration>,
    /// From then until the stanza had arrived (and its answer, where one was asked for).
    pub probe: Option<Duration>,
    /// The target let about 40 ms pass before it sent something: as long as a delayed acknowledgement
    /// takes, for which a sender without TCP_NODELAY waits.
    pub delayed: bool,
    /// The whole case.
    pub total: Duration,
}

/// What happens during a run.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The run begins.
    Started {
        /// Name and version of the target.
        target: String,
        /// How many cases will be run, controls included.
        cases: usize,
        /// How many of them were added as controls.
        controls: usize,
        /// The seed of the run.
        seed: u64,
    },
    /// A case has its result.
    Finished(Box<Record>),
    /// Cases are run again and again; results come when all rounds are over.
    Repeating {
        /// The round, counted from 1.
        round: u32,
        /// How many there will be at most; none where nobody knows.
        of: Option<u32>,
        /// Cases of this round that have ended.
        done: usize,
    },
    /// Something that is not of one case, such as a target that could not be started.
    Trouble(String),
    /// The run is over.
    Ended {
        /// Wall time.
        elapsed: Duration,
        /// How many times the cases were run.
        rounds: u32,
        /// Whether it was broken off.
        interrupted: bool,
    },
}
