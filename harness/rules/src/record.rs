//! The result of a case: first the observations, then the verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::driver::Capture;
use simulated_partners::event::Event;
use simulated_partners::pki::Identity;

use crate::case::Case;
use crate::expectation::Expectation;
use crate::finding::Finding;
use crate::outcome::Outcome;
use crate::verdict::Verdict;

/// The observations of a case. The verdict follows from these and from what is known of the target.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// What the oracle allows; `None` if a scenario decides.
    pub allowed: Option<Expectation>,
    /// How it went.
    pub run: Run,
    /// The control that must be accepted if this case may be refused.
    pub control: Option<Control>,
    /// Whether the case ran only as another case's control.
    pub added_as_control: bool,
    /// The result of repetitions, if there were any.
    pub repeated: Option<Repeated>,
    /// Timings.
    pub timings: Timings,
    /// What the main partner saw and did, in order. Empty for a pass unless transcripts were asked
    /// for.
    pub events: Vec<Event>,
    /// The same of each further partner, by its name.
    pub further: BTreeMap<String, Vec<Event>>,
    /// What the target asked of DNS, in order, where a scenario expects a query.
    pub queries: Vec<String>,
    /// What happened beside the connections of partners. Empty for a pass, as [`Self::events`].
    pub beside: Beside,
    /// The negotiation in one line: who sent what, in order.
    pub wire: String,
    /// Whether it was established without an answer, because the way back need not be open.
    pub one_way: bool,
    /// What was there when it ran; only where it was to be kept.
    pub scene: Option<Box<Scene>>,
}

/// What happened in a case beside the connections of partners. Times count from its start.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// When each partner was started, by its name: the time from which its events count.
    pub starts: BTreeMap<String, Duration>,
    /// Stanzas at the inner side: those that were sent in, in order, then those that came out.
    pub inner: Vec<Passage>,
    /// What the target asked of DNS, in order.
    pub asked: Vec<(Duration, String)>,
}

/// A stanza at the inner side of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When.
    pub at: Duration,
    /// Whether it came out of the target, and was not sent into it.
    pub came_out: bool,
    /// The stanza.
    pub text: String,
}

/// What was there when a case ran: what a reader needs who was not.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The lab's authority: certificate and key as PEM, the key only where the lab made it.
    pub authority: Arc<(String, Option<String>)>,
    /// The domain of each partner and what it showed in handshakes, by the partner's name.
    pub partners: BTreeMap<String, (String, Option<Arc<Identity>>)>,
    /// The records of the case's domains as they were at its end.
    pub dns: Vec<String>,
    /// Names and texts of the files that the target was configured by.
    pub configuration: Arc<BTreeMap<String, String>>,
    /// Lines of the target's log that name the case's domain.
    pub log: Vec<String>,
    /// What partners sent and received, if it was captured.
    pub capture: Option<Capture>,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// The target cannot be configured for it or lacks something, or rightly does without what it is about. With the
    /// reason.
    Unsupported(String),
    /// The harness or its environment failed, which says nothing about the target. With the reason.
    Failed(String),
    /// The run ended before it.
    NotRun(NotRun),
    /// It ran to its end.
    Ended {
        /// How it ended.
        outcome: Outcome,
        /// The findings.
        findings: Vec<Finding>,
    },
}

/// Why a run ended before a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// There was no target any more. With what happened to it.
    TargetGone(String),
    /// The run had only this time.
    Budget(Duration),
}

impl fmt::Display for NotRun {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetGone(what) => to.write_str(what),
            Self::Budget(time) => {
                let seconds = time.as_secs_f64();
                write!(to, "the budget of the run, {seconds} s, was spent")
            }
        }
    }
}

/// The control of a case: without it, a refusal proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The id of the control case.
    pub id: String,
    /// Its result.
    pub state: ControlState,
}

/// The result of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlState {
    /// Not known yet.
    Pending,
    /// It was established, or showed what its scenario expects.
    Accepted,
    /// It was not accepted.
    Missed,
    /// The harness or its environment failed.
    Failed,
    /// It says nothing, because it stayed undecided.
    Open,
}

impl CaseResult {
    /// The result of a case that has not been run.
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
            further: BTreeMap::new(),
            queries: Vec::new(),
            beside: Beside::default(),
            wire: String::new(),
            one_way: false,
            scene: None,
        }
    }

    /// Drops what was observed, which is much.
    pub fn forget_events(&mut self) {
        self.events = Vec::new();
        self.further = BTreeMap::new();
        self.queries = Vec::new();
        self.beside = Beside::default();
        self.scene = None;
    }

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.run {
            Run::Ended { outcome, .. } => Some(outcome),
            Run::Unsupported(_) | Run::Failed(_) | Run::NotRun(_) => None,
        }
    }

    /// How it ended, where that is judged. A scenario that does not say how it may end is over when it has
    /// seen what it wants, and how far its stream has come by then is chance.
    pub fn judged_outcome(&self) -> Option<&Outcome> {
        let is_judged = self.case.script.by_oracle() || !self.case.script.outcome.is_empty();
        self.outcome().filter(|_| is_judged)
    }

    /// Its findings.
    pub fn findings(&self) -> &[Finding] {
        match &self.run {
            Run::Ended { findings, .. } => findings,
            Run::Unsupported(_) | Run::Failed(_) | Run::NotRun(_) => &[],
        }
    }
}

/// A case with its verdict.
#[derive(Clone, Debug)]
pub struct Record {
    /// The observations.
    pub result: CaseResult,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, in a sentence.
    pub why: String,
    /// How the baseline or strict mode changed the verdict.
    pub settled: Option<BaselineMatch>,
}

/// How a verdict was changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaselineMatch {
    /// The verdict without a baseline.
    pub was: Verdict,
    /// The entries that decided, as `known.toml:12, known.toml:30`; `None` if only strict mode did.
    pub entry: Option<String>,
}

/// The result of repeating a case.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Repeated {
    /// How often it was run.
    pub runs: u32,
    /// How often the verdict or outcome differed from the first run.
    pub ended_otherwise: u32,
    /// How often only the transcript differed from the first run.
    pub went_otherwise: u32,
    /// The first difference between two transcripts.
    pub divergence: Option<Divergence>,
    /// Why the runs cannot count as one result, if so.
    #[serde(skip)]
    pub unstable: Option<String>,
}

/// The first event in which two canonical transcripts differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Divergence {
    /// The two rounds compared, counted from 1.
    pub rounds: [u32; 2],
    /// The position of the event in both, counted from 1.
    pub event: usize,
    /// The event in each transcript; `None` if that transcript had ended.
    pub lines: [Option<String>; 2],
    /// Whether it is on the deciding connection.
    pub decides: bool,
}

/// The duration of each phase of a case; `None` if it was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Timings {
    /// From start to the TCP connection.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the handshake until authenticated.
    pub auth: Option<Duration>,
    /// From authentication until the stanza arrived (and its answer, if one was requested).
    pub probe: Option<Duration>,
    /// The target waited about 40 ms before it sent something: the time of a delayed acknowledgement,
    /// which a sender without TCP_NODELAY waits for.
    pub delayed: bool,
    /// The whole case.
    pub total: Duration,
}

/// An event during a run.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The run begins.
    Started {
        /// Name and version of the target.
        target: String,
        /// The number of cases, including controls.
        cases: usize,
        /// The number of cases added as controls.
        controls: usize,
        /// The seed of the run.
        seed: u64,
    },
    /// A case has finished.
    Finished(Box<Record>),
    /// Progress of repeated cases; their results are reported after all rounds.
    Repeating {
        /// The round, counted from 1.
        round: u32,
        /// The maximum number of rounds, if known.
        of: Option<u32>,
        /// The number of cases finished in this round.
        done: usize,
    },
    /// Something that the target does wrong, whatever the case.
    Breach(String),
    /// An event that belongs to no case, such as a target that could not be started.
    Trouble(String),
    /// The run is over.
    Ended {
        /// Wall time.
        elapsed: Duration,
        /// The number of rounds.
        rounds: u32,
        /// Whether it was interrupted.
        interrupted: bool,
    },
}
