//! One case, from its certificate to its verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use simulated_partners::board::Board;
use simulated_partners::driver::{CONNECTIONS, Partner, PartnerSetup};
use simulated_partners::event::{ConnectionKind, Event, Party, What};
use simulated_partners::persona::Persona;
use simulated_partners::tls::Habits;
use simulated_partners::wire::{Element, Kind, NS_SERVER};

use super::{scripted, timing, wire_only};
use crate::case::{Case, Direction};
use crate::case::{Need, Script};
use crate::expectation::Expectation;
use crate::judge::{self, Arrival, Bounce, Evidence};
use crate::lab::Lab;
use crate::oracle::never::violations;
use crate::oracle::{Profile, Situation, return_established, second_opinions};
use crate::outcome::Outcome;
use crate::record::{Record, Timings};
use crate::subject::inner_side::{Stanzas, ping};
use crate::subject::{Inside, Running};
use crate::transcript;
use crate::verdict::Verdict;

/// How long a case may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// The whole case; reaching it means `stalled`.
    pub case: Duration,
    /// How long a partner waits for one step of the target.
    pub patience: Duration,
    /// How long a refused stream may take to be closed once the stanza was returned.
    pub settle: Duration,
}

impl Deadlines {
    /// Bounds that fit into the time of a whole case.
    pub fn within(case: Duration) -> Self {
        Self {
            case,
            patience: case / 2,
            settle: Duration::from_secs(1).min(case / 4),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::within(Duration::from_secs(20))
    }
}

/// A case that is ready to run.
#[derive(Clone)]
pub struct Job {
    /// The case.
    pub case: Case,
    /// Id of its control, where it has to be refused.
    pub control: Option<String>,
    /// Whether it runs only as a control.
    pub added_as_control: bool,
    /// What the oracle allows.
    pub expectation: Expectation,
}

impl Job {
    /// The record of a case that was not run, or failed for reasons of the harness.
    pub fn without_outcome(&self, verdict: Verdict, why: String) -> Record {
        Record {
            case: self.case.clone(),
            expectation: self.expectation.clone(),
            outcome: None,
            verdict,
            why,
            fault: None,
            breaches: Vec::new(),
            vacuous: Vec::new(),
            settled: None,
            repeated: None,
            control: self.control.clone(),
            added_as_control: self.added_as_control,
            timings: Timings::default(),
            events: Vec::new(),
            wire: String::new(),
        }
    }
}

/// Runs a case on a running target. Gives the partner back, which has yet to be stopped.
pub(super) async fn run(
    job: &Job,
    lab: &Lab,
    target: &Running,
    profile: Profile,
    deadlines: Deadlines,
    prove: bool,
) -> (Record, Vec<Partner>) {
    let began = Instant::now();
    if let Some(script) = &job.case.script {
        return scripted(job, script, lab, target, deadlines, prove).await;
    }
    let outcome = tokio::select! {
        done = bench(job, lab, target, profile, deadlines) => done,
        reason = target.inner.lost() => Err(reason),
    };
    match outcome {
        Ok((observed, partner)) => (
            observed.record(job, profile, began.elapsed()),
            vec![partner],
        ),
        Err(why) => (job.without_outcome(Verdict::Error, why), Vec::new()),
    }
}

/// Runs a case of the conformance suite.
async fn scripted(
    job: &Job,
    script: &Script,
    lab: &Lab,
    target: &Running,
    deadlines: Deadlines,
    prove: bool,
) -> (Record, Vec<Partner>) {
    let began = Instant::now();
    let outside = matches!(target.inner, Inside::Hidden(_)).then(|| script.from_outside());
    let script = match &outside {
        None => script,
        Some(Some(script)) => script,
        Some(None) => {
            let why = Need::InnerSide.lacking().to_owned();
            let record = job.without_outcome(Verdict::Unsupported, why);
            return (record, Vec::new());
        }
    };
    if let Some(need) = target.lacks(&script.needs) {
        let record = job.without_outcome(Verdict::Unsupported, need.lacking().to_owned());
        return (record, Vec::new());
    }
    let done = tokio::select! {
        done = scripted::bench(job, script, lab, target, deadlines, prove) => done,
        reason = target.inner.lost() => Err(reason),
    };
    let (shown, partners) = match done {
        Ok(done) => done,
        Err(why) => return (job.without_outcome(Verdict::Error, why), Vec::new()),
    };
    let case = &job.case;
    let breaches = shown.verdicts.breaches(script);
    let (verdict, why) = match shown.vacuous.as_slice() {
        [] => judge::judged(&breaches),
        vacuous => {
            let why = format!("it proves nothing: {}", vacuous.join("; "));
            (Verdict::Error, why)
        }
    };
    let record = Record {
        verdict,
        why,
        breaches,
        vacuous: shown.vacuous,
        outcome: Some(shown.outcome),
        timings: timing::timings(case.direction, &shown.events, began.elapsed()),
        wire: transcript::wire_summary(&shown.events),
        events: shown.events,
        ..job.without_outcome(Verdict::Error, String::new())
    };
    (record, partners)
}

async fn bench(
    job: &Job,
    lab: &Lab,
    target: &Running,
    profile: Profile,
    deadlines: Deadlines,
) -> Result<(Observed, Partner), String> {
    let inner = match &target.inner {
        Inside::Linked(inner) => inner,
        Inside::Hidden(hidden) => {
            return wire_only::bench(job, lab, target, hidden, profile, deadlines).await;
        }
    };
    let case = &job.case;
    let domain = case.domain();
    let answer_due = return_established(&Situation::of(case, profile));
    let inbound = case.direction == Direction::Inbound;
    let setup = PartnerSetup {
        answers: answer_due && !inbound,
        ..setup(lab, target, &domain, &case.partner, deadlines)
    };
    let partner = start(setup).await?;
    lab.publish(&domain, partner.address())
        .map_err(|error| error.to_string())?;
    let stanzas = inner.open(&domain, answer_due && inbound);
    let mut bench = Bench {
        observed: Observed {
            answer_due,
            ..Observed::default()
        },
        partner,
        stanzas,
        inbound,
        probe: format!("probe-{domain}"),
    };
    if inbound {
        bench
            .partner
            .dial(ping(&bench.probe, &domain, &target.domain));
    } else {
        let sender = format!("juliet@{}", target.domain);
        inner.send(&ping(&bench.probe, &sender, &domain)).await;
    }
    bench.watch(deadlines).await;
    if inbound && !bench.observed.evidence.arrived.is_seen() {
        // What a target let through in spite of its refusal is before the barrier's answer.
        if tokio::time::timeout(deadlines.case, inner.barrier())
            .await
            .is_err()
        {
            return Err("the target's inner side does not answer".to_owned());
        }
    }
    bench.catch_up().await;
    lab.dns.records().remove(&domain);
    Ok((bench.observed, bench.partner))
}

/// A partner that speaks for a domain as a persona does, and answers nothing.
pub(super) fn setup(
    lab: &Lab,
    target: &Running,
    domain: &str,
    persona: &Arc<Persona>,
    deadlines: Deadlines,
) -> PartnerSetup {
    let offer = &persona.offer;
    PartnerSetup {
        domain: domain.to_owned(),
        persona: Arc::clone(persona),
        identity: lab.authority.issue(&[domain], offer.certificate, offer.key),
        habits: Habits::default(),
        roots: lab.authority.roots(),
        target_domain: target.domain.clone(),
        target: target.address,
        secret: format!("{domain}-{:016x}", lab.seed),
        patience: deadlines.patience,
        answers: false,
        insists: true,
        seed: lab.seed,
        board: Board::default(),
        values: Arc::default(),
        connections: CONNECTIONS,
        listen: (lab.partners, 0).into(),
    }
}

pub(super) async fn start(setup: PartnerSetup) -> Result<Partner, String> {
    Partner::start(setup)
        .await
        .map_err(|error| format!("the partner could not listen: {error}"))
}

/// A case while it runs.
struct Bench {
    observed: Observed,
    partner: Partner,
    stanzas: Stanzas,
    inbound: bool,
    probe: String,
}

/// What a case showed.
#[derive(Default)]
pub(super) struct Observed {
    pub(super) events: Vec<Event>,
    pub(super) evidence: Evidence,
    pub(super) answer_due: bool,
}

impl Bench {
    /// Takes in events until nothing more can come that matters.
    async fn watch(&mut self, deadlines: Deadlines) {
        let whole = tokio::time::Instant::now() + deadlines.case;
        let mut until = whole;
        while !self.decided() {
            if self.observed.evidence.bounced.is_final() && until == whole {
                until = whole.min(tokio::time::Instant::now() + deadlines.settle);
            }
            tokio::select! {
                // The wire before the inner side: what led to a returned stanza has to be known when
                // that is taken in, or nothing at all seems to have been tried.
                biased;
                () = tokio::time::sleep_until(until) => return,
                event = self.partner.next_event() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
                stanza = self.stanzas.next() => match stanza {
                    Some(stanza) => self.stanza(&stanza),
                    None => return,
                },
            }
        }
    }

    fn event(&mut self, event: Event) {
        if let What::Frame {
            from: Party::Target,
            frame,
            ..
        } = &event.what
            && let Kind::Element(element) = &frame.kind
            && self.is_probe(element)
        {
            match element.attribute("type") {
                Some("get") if !self.inbound => self.observed.evidence.arrived = Arrival::Seen,
                Some("result") if self.inbound => self.observed.evidence.answered = true,
                _ => {}
            }
        }
        self.observed.events.push(event);
    }

    fn stanza(&mut self, element: &Element) {
        if !self.is_probe(element) {
            return;
        }
        match element.attribute("type") {
            Some("get") if self.inbound => self.observed.evidence.arrived = Arrival::Seen,
            Some("result") if !self.inbound => self.observed.evidence.answered = true,
            Some("error") if !self.inbound => self.observed.evidence.bounced = Bounce::Seen,
            _ => {}
        }
    }

    fn is_probe(&self, element: &Element) -> bool {
        element.is(NS_SERVER, "iq") && element.attribute("id") == Some(&self.probe)
    }

    /// Takes in what has happened already. The two sides tell of one and the same moment separately: a
    /// stanza may be seen to arrive before it is seen to be sent.
    async fn catch_up(&mut self) {
        loop {
            tokio::select! {
                biased;
                Some(event) = self.partner.next_event() => self.event(event),
                Some(stanza) = self.stanzas.next() => self.stanza(&stanza),
                () = std::future::ready(()) => return,
            }
        }
    }

    fn decided(&self) -> bool {
        let Evidence {
            arrived,
            answered,
            bounced,
        } = self.observed.evidence;
        if arrived.is_seen() {
            return !self.observed.answer_due || answered || self.answer_is_lost();
        }
        if self.inbound {
            self.over(ConnectionKind::Inbound)
        } else {
            bounced.is_final() && self.all_over(ConnectionKind::Outbound)
        }
    }

    /// The way back was tried and ended.
    fn answer_is_lost(&self) -> bool {
        !self.inbound && self.over(ConnectionKind::Inbound)
    }

    /// At least one leg of this kind was opened, and all of them have ended.
    fn over(&self, kind: ConnectionKind) -> bool {
        self.observed.legs(kind) > 0 && self.all_over(kind)
    }

    fn all_over(&self, kind: ConnectionKind) -> bool {
        self.observed.all_over(kind)
    }
}

impl Observed {
    /// How many legs of this kind were opened, or tried to be.
    pub(super) fn legs(&self, kind: ConnectionKind) -> usize {
        self.events
            .iter()
            .filter(|event| opened(&event.what) == Some(kind))
            .count()
    }

    /// Whether all of them have ended.
    pub(super) fn all_over(&self, kind: ConnectionKind) -> bool {
        self.legs(kind) == self.ended(kind)
    }

    fn ended(&self, kind: ConnectionKind) -> usize {
        let events = &self.events;
        let of_kind = |event: &&Event| {
            events
                .iter()
                .any(|other| other.leg == event.leg && opened(&other.what) == Some(kind))
        };
        events
            .iter()
            .filter(|event| matches!(event.what, What::Closed { .. } | What::ConnectFailed(..)))
            .filter(of_kind)
            .count()
    }
}

pub(super) fn opened(what: &What) -> Option<ConnectionKind> {
    match what {
        What::Opened(kind) | What::ConnectFailed(kind, _) => Some(*kind),
        _ => None,
    }
}

impl Observed {
    fn record(self, job: &Job, profile: Profile, total: Duration) -> Record {
        let case = &job.case;
        let outcome = judge::read(case.direction, &self.events, self.evidence);
        let judgement = judge::judge(&judge::Facts {
            direction: case.direction,
            expectation: &job.expectation,
            opinions: &second_opinions(case, profile),
            outcome: &outcome,
            violations: &violations(&Situation::of(case, profile), &self.events),
            evidence: self.evidence,
            answer_due: self.answer_due,
        });
        Record {
            verdict: judgement.verdict,
            why: judgement.why,
            fault: judgement.fault,
            outcome: Some(outcome),
            timings: timing::timings(case.direction, &self.events, total),
            wire: transcript::wire_summary(&self.events),
            events: self.events,
            ..job.without_outcome(Verdict::Error, String::new())
        }
    }
}

/// The record of a case that ended before anything was on a wire.
pub(super) fn judged_without_wire(job: &Job, outcome: Outcome) -> Record {
    let bounced = Evidence {
        bounced: Bounce::Seen,
        ..Evidence::default()
    };
    let judgement = judge::judge(&judge::Facts {
        direction: job.case.direction,
        expectation: &job.expectation,
        opinions: &[],
        outcome: &outcome,
        violations: &BTreeSet::new(),
        evidence: bounced,
        answer_due: false,
    });
    Record {
        outcome: Some(outcome),
        fault: judgement.fault,
        ..job.without_outcome(judgement.verdict, judgement.why)
    }
}
