//! What a run leaves behind: the one stream of events that every report is made from.

use std::time::Duration;

use simulated_partners::event::Event;

use crate::case::Case;
use crate::expectation::Expectation;
use crate::judge::Breach;
use crate::judge::Fault;
use crate::outcome::Outcome;
use crate::verdict::Verdict;

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

/// The result of one case.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was run.
    pub case: Case,
    /// What was allowed.
    pub expectation: Expectation,
    /// What happened; none where it was not run (`unsupported`, some of `error`).
    pub outcome: Option<Outcome>,
    /// The judgement.
    pub verdict: Verdict,
    /// Why that judgement, in a sentence.
    pub why: String,
    /// What is wrong beside the outcome.
    pub fault: Option<Fault>,
    /// Requirements that were not kept, in a case of the conformance suite.
    pub breaches: Vec<Breach>,
    /// Expectations of such a case that cannot fail, where that was asked for.
    pub vacuous: Vec<String>,
    /// What the baseline, or strictness, made of the verdict.
    pub settled: Option<Settled>,
    /// What repetitions showed, where there were any.
    pub repeated: Option<Repeated>,
    /// Id of the accepting neighbour of a case that has to be refused.
    pub control: Option<String>,
    /// Whether the case ran only as somebody's control.
    pub added_as_control: bool,
    /// Where the time went.
    pub timings: Timings,
    /// All observations, in order. Empty for a pass unless transcripts were asked for.
    pub events: Vec<Event>,
    /// The negotiation in one line: who sent what, in order.
    pub wire: String,
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

/// How a verdict was settled, kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// The verdict before.
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
