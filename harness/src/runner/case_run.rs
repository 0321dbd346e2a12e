//! Runs one case: partners follow its script until everything decisive was seen, or nothing more can
//! happen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Board;
use simulated_partners::driver::{Capture, Partner, Place};
use simulated_partners::event::{Event, EventKind, Party};
use simulated_partners::wire::{Element, NS_SERVER};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::actions::Due;
use super::backend::Backend;
use super::error::CaseError;
use super::job::Bench;
use super::observed::Observed;
use super::partners::{Started, next_event, ready};
use super::passing::{Passing, rest};
use super::plan::Job;
use super::published::Published;
use super::slot::STILL;
use super::ways::{BRIEF, Way};
use crate::case::names::Names;
use crate::case::{Direction, MAIN, Script, Sees};
use crate::evidence::{Ailment, Arrival, Bounce};
use crate::lab::Lease;
use crate::observe::{self, Observation, Observer};
use crate::record::Passage;
use crate::subject::inner_side::Stanzas;

/// How long to wait, once all connections have ended, before nothing more is expected.
const QUIET: Duration = Duration::from_millis(2500);
/// How long nothing may happen before it is looked whether more can come.
pub(super) const AFTERMATH: Duration = Duration::from_millis(300);
/// How much is taken at once of what has already happened, while more may be happening.
const AT_ONCE: usize = 256;

/// A running case.
pub(super) struct CaseRun<'a> {
    pub(super) job: &'a Job,
    pub(super) script: &'a Script,
    pub(super) bench: Bench<'a>,
    pub(super) backend: Backend<'a>,
    pub(super) names: Names,
    pub(super) board: Board,
    /// Where the partners of the script listen, in its order.
    pub(super) places: Vec<Arc<Place>>,
    pub(super) partners: Vec<Started<'a>>,
    pub(super) observed: Observed,
    eye: Observer,
    /// How often each signal was raised from here.
    counts: BTreeMap<&'static str, u32>,
    pub(super) began: Instant,
    /// When something happened last.
    pub(super) last: Instant,
    /// The segments that partners had sent then.
    pub(super) segments: u64,
    /// Open connections.
    pub(super) open: usize,
    /// Whether a connection has ended, or was not taken, since the target was last looked for.
    cut_off: bool,
    /// How many records were changed.
    pub(super) changed: usize,
    /// Takes what a correct partner sends afterwards, so that the case does not see it.
    pub(super) aftermath: Option<Stanzas>,
    pub(super) end: End,
    /// The way for which it waits as long as it can.
    pub(super) scouts: Option<Way>,
    /// The way for which it did not.
    pub(super) cut_short: Option<Way>,
    /// How long a partner waited that gave up, at most.
    pub(super) gave_up: Option<Duration>,
    /// Actions that wait, with their signals.
    pub(super) pending: BTreeMap<Due, String>,
    /// Whether a partner has sent a stanza that may not have reached the inner side yet.
    pub(super) partner_spoke: bool,
    /// What rooms of the inner side are about to send.
    pub(super) said: Vec<Element>,
    pub(super) published: Published<'a>,
    pub(super) capture: Option<Capture>,
}

/// How a case came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was seen, or nothing more could come.
    Known,
    /// Its time was over.
    Deadline,
    /// What was seen cannot be undone, so the rest was not waited for.
    Cut,
}

impl<'a> CaseRun<'a> {
    pub(super) fn new(job: &'a Job, script: &'a Script, bench: Bench<'a>, lease: &Lease) -> Self {
        let Bench { lab, target, .. } = bench;
        let second = target.second.as_deref();
        let names = Names::of(script, lease.domains.clone(), &target.domain, second)
            .with_secret(target.secret.as_deref())
            .with_probe(format!("probe-{}", job.case.domain()));
        let backend = Backend::of(job, script, bench, &names);
        Self {
            observed: Observed {
                evidence: backend.evidence(job.case.direction),
                ..Observed::default()
            },
            backend,
            job,
            script,
            bench,
            names,
            board: Board::default(),
            places: Vec::new(),
            partners: Vec::new(),
            eye: Observer::default(),
            counts: BTreeMap::new(),
            began: Instant::now(),
            last: Instant::now(),
            segments: 0,
            open: 0,
            cut_off: false,
            changed: 0,
            aftermath: None,
            end: End::Known,
            scouts: None,
            cut_short: None,
            gave_up: None,
            pending: BTreeMap::new(),
            partner_spoke: false,
            said: Vec::new(),
            published: Published::of(lab, lease),
            capture: (bench.keeps.is_some_and(|keeps| keeps.traffic)).then(Capture::default),
        }
    }

    /// Runs the case to its end. Returns a problem with the target afterwards, if any.
    pub(super) async fn drive(&mut self) -> Result<Option<Ailment>, CaseError> {
        let stretched = |own: u16| self.bench.stretch * Duration::from_secs(own.into());
        let whole = self
            .script
            .seconds
            .map_or(self.bench.deadlines.case, stretched);
        let until = self.began + whole + self.waits_for_dns();
        self.take_places()?;
        self.publish()?;
        let prepared = self.backend.prepare(&self.own_places(), until).await;
        if prepared.is_err() {
            self.ran_out();
        }
        let looked_up = prepared?;
        // A target that keeps DNS answers does not look again.
        self.observed.looked_up = (looked_up || self.bench.looked_up) && self.script.by_oracle();
        self.start_partners().await?;
        self.watch(until).await?;
        self.finish().await
    }

    /// The partners, which still have to be stopped.
    pub(super) fn into_partners(self) -> Vec<Partner> {
        self.partners.into_iter().map(|one| one.partner).collect()
    }

    /// Fills in placeholders in the case's own texts.
    pub(super) fn fill(&self) -> impl Fn(&str) -> String {
        |text: &str| self.names.fill(text, self.names.domain(), &self.board)
    }

    /// The domain of the partner that the case is about.
    pub(super) fn main_domain(&self) -> String {
        self.names.of_main(self.script)
    }

    /// Whether the answer to the probe must come back and can be observed.
    pub(super) fn awaits_answer(&self) -> bool {
        self.job.answer_due && (self.is_inbound() || self.backend.is_attached())
    }

    pub(super) fn is_inbound(&self) -> bool {
        self.job.case.direction == Direction::Inbound
    }

    /// Executes the script and records what happens.
    async fn watch(&mut self, until: Instant) -> Result<(), CaseError> {
        let (due, mut dues) = mpsc::unbounded_channel();
        let mut waiting = JoinSet::new();
        for due in self.dues(&due, &mut waiting) {
            self.due(due).await?;
        }
        if self.script.sends_by_itself() {
            let target = self.names.target();
            if let Some(probe) = self.backend.send_probe(&self.names, target).await? {
                self.passes(false, probe.to_xml())?;
            }
        }
        let records = self.bench.lab.dns.records().clone();
        let service = format!("_xmpp-server._tcp.{}", self.main_domain());
        let mut asked = std::pin::pin!(records.asked(&service));
        let mut settling = None;
        let clock = self.bench.target.clock.as_ref();
        let mut passing = clock.map(|clock| Passing::of(clock, self.script));
        // How long nothing has happened when it was last looked for a breach.
        let mut looked = Duration::ZERO;
        let mut link = std::pin::pin!(self.bench.target.inner.lost());
        let mut is_linked = self.script.breaks_link();
        loop {
            if self.is_decided() {
                return Ok(());
            }
            settling = self
                .is_settling()
                .then(|| settling.unwrap_or_else(Instant::now));
            let quiet = self.last + self.bench.stretch * QUIET;
            let end = match settling {
                Some(since) => Some(since + self.bench.deadlines.settle),
                None if self.is_quiet() => Some(quiet),
                None => self.too_late_from().map(|from| from.max(quiet)),
            };
            let until = match self.longest_silence() {
                Some(silence) => until.min(self.last + silence),
                None => until,
            };
            tokio::select! {
                // Read the wire before the inner side: what led to a returned stanza must be known when
                // it is recorded, or it would look as if nothing had been tried.
                biased;
                // A flood leaves the last branch no turn.
                () = sleep_until(until) => {
                    self.give_up(settling.is_some());
                    self.end = End::Deadline;
                    return Ok(());
                }
                (at, event) = next_event(&mut self.partners) => self.event(at, event)?,
                stanza = self.backend.next(&self.observed) => self.stanza(&stanza?)?,
                Some(due) = dues.recv() => {
                    self.due(due).await?;
                    if let Some(passing) = &mut passing {
                        passing.was_sent();
                    }
                }
                _ = &mut link, if is_linked => {
                    is_linked = false;
                    let ended = observe::link_ended(self.began.elapsed());
                    self.observed.observations.push(ended);
                }
                () = &mut asked, if !self.observed.looked_up => {
                    self.observed.looked_up = true;
                    self.board.raise("looked-up", "");
                }
                () = rest(&mut passing) => {
                    if let Some(passing) = &mut passing {
                        self.let_time_pass(passing).await?;
                    }
                    continue;
                }
                // Before another case begins beside it, which might as well be what killed the target.
                () = sleep_until(self.last + STILL / 2), if self.cut_off => {
                    self.cut_off = false;
                    self.bench.instance.still_answers().await;
                    self.drain(AT_ONCE)?;
                    continue;
                }
                () = sleep_until(self.last + self.bench.stretch * AFTERMATH), if looked < AFTERMATH => {
                    if self.still_writes(&mut looked) {
                        continue;
                    }
                    looked = AFTERMATH;
                    if self.is_bearable() {
                        return Ok(());
                    }
                    if !self.has_breach() {
                        continue;
                    }
                    self.end = End::Cut;
                    return Ok(());
                }
                () = sleep_until(self.last + self.bench.stretch * BRIEF), if looked < BRIEF => {
                    if self.still_writes(&mut looked) {
                        continue;
                    }
                    looked = BRIEF;
                    if !self.is_hopeless() {
                        continue;
                    }
                    self.ran_out();
                    return Ok(());
                }
                () = sleep_until(quiet), if looked < QUIET => {
                    if self.still_writes(&mut looked) {
                        continue;
                    }
                    looked = QUIET;
                    if !self.has_missed() {
                        continue;
                    }
                    self.ran_out();
                    self.end = End::Cut;
                    return Ok(());
                }
                () = sleep_until(end.map_or(until, |end| end.min(until))) => {
                    self.give_up(settling.is_some());
                    return Ok(());
                }
            }
            looked = Duration::ZERO;
            self.drain(AT_ONCE)?;
            let said = self.speak().await?;
            self.last = Instant::now();
            self.segments = self.segments_sent();
            if let Some(passing) = &mut passing {
                if said {
                    passing.was_sent();
                }
                passing.look_again();
            }
        }
    }

    /// Whether something has happened that was not taken in yet.
    pub(super) fn takes_in(&mut self) -> Result<bool, CaseError> {
        let before = self.observed.count;
        self.drain(AT_ONCE)?;
        Ok(self.observed.count > before)
    }

    /// Notes how it stands when there is no time left.
    fn give_up(&mut self, is_settling: bool) {
        self.ran_out();
        if let Bounce::NotObservable { settled } = &mut self.observed.evidence.bounced {
            *settled = is_settling;
        }
    }

    /// Records what has already happened, at most this many things. The two sides report the same moment
    /// separately, so a stanza may be seen to arrive before it is seen to be sent.
    pub(super) fn drain(&mut self, most: usize) -> Result<(), CaseError> {
        for _ in 0..most {
            if let Some((at, event)) = ready(next_event(&mut self.partners)) {
                self.event(at, event)?;
            } else if let Some(stanza) = self.backend.waiting() {
                self.stanza(&stanza)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn event(&mut self, at: usize, event: Event) -> Result<(), CaseError> {
        let name = Arc::clone(&self.partners[at].role.name);
        self.observed.make_room(event.kind.size())?;
        match &event.kind {
            EventKind::LeftOut(what) => {
                let role = name.to_string();
                return Err(CaseError::LeftOut { role, what });
            }
            EventKind::Opened(_) => self.open += 1,
            EventKind::ConnectFailed(..) => self.cut_off = true,
            EventKind::GaveUp { .. } => {
                self.ran_out();
                let own = self.partners[at].role.patience;
                let own = own.map(|ms| self.bench.stretch * Duration::from_millis(ms.into()));
                let patience = own.unwrap_or(self.bench.deadlines.patience);
                self.gave_up = self.gave_up.max(Some(patience));
            }
            EventKind::Closed { .. } => {
                self.open = self.open.saturating_sub(1);
                self.cut_off = true;
                self.count("ended");
            }
            _ => {}
        }
        let observations = self.eye.look(&name, self.began.elapsed(), &event);
        for observation in &observations {
            if Sees::Stanza.covers(observation.sees) {
                self.partner_spoke |= observation.by == Party::Partner;
                self.stanza_on_the_wire(observation);
            }
            if observation.ends_a_wait() {
                self.timed_out(self.began);
            }
        }
        self.observed.observations.extend(observations);
        if &*name == MAIN {
            self.backend.event(&mut self.observed, &event)?;
            self.observed.events.push(event);
        } else {
            let further = self.observed.further.entry(name.to_string()).or_default();
            further.push(event);
        }
        Ok(())
    }

    /// Notes that the probe, or its answer, has reached a partner.
    fn stanza_on_the_wire(&mut self, observation: &Observation) {
        if observation.by != Party::Target || !self.is_probe(observation) {
            return;
        }
        let attached = self.backend.is_attached();
        let evidence = &mut self.observed.evidence;
        if self.job.case.direction == Direction::Inbound {
            evidence.answered |= !attached || observation.attribute("type") == Some("result");
        }
        // An answer shows that the request was delivered. If the oracle decides and the inner side
        // is visible, the inner side decides.
        if !(self.is_inbound() && attached && self.script.by_oracle()) {
            self.observed.evidence.arrived = Arrival::Seen;
        }
        if !attached
            && self.is_inbound()
            && let Some(answer) = &observation.element
        {
            let delivered = observe::delivered(answer, self.began.elapsed());
            self.count("delivered");
            self.observed.observations.push(delivered);
        }
    }

    /// A stanza with the probe's id or, if a command made the target send it, its text.
    fn is_probe(&self, observation: &Observation) -> bool {
        let probe = self.names.probe();
        let by_id = observation
            .attribute("id")
            .is_some_and(|id| id.starts_with(probe));
        by_id
            || !self.backend.is_attached()
                && (observation.element.as_ref())
                    .and_then(|element| element.find(NS_SERVER, "body"))
                    .is_some_and(|body| body.content().contains(probe))
    }

    /// Notes a stanza that goes through the inner side.
    pub(super) fn passes(&mut self, came_out: bool, text: String) -> Result<(), CaseError> {
        self.observed.make_room(text.len())?;
        let at = self.began.elapsed();
        self.observed.inner.push(Passage { at, came_out, text });
        Ok(())
    }

    fn stanza(&mut self, stanza: &Element) -> Result<(), CaseError> {
        self.passes(true, stanza.to_xml())?;
        if let Some(answer) = self.backend.answer_to(stanza) {
            self.passes(false, answer.to_xml())?;
        }
        for observation in observe::local(stanza, self.began.elapsed()) {
            self.tell(&observation);
            if observation.sees == Sees::Delivered {
                self.say_in_rooms(stanza);
            }
            self.observed.observations.push(observation);
        }
        Ok(())
    }

    /// Signals the partners about what reached the inner side.
    fn tell(&mut self, observation: &Observation) {
        let evidence = &mut self.observed.evidence;
        let word = match observation.sees {
            Sees::Answered => {
                evidence.answered = true;
                "answered"
            }
            Sees::Returned => {
                evidence.bounced = Bounce::Seen;
                "returned"
            }
            Sees::Delivered => {
                evidence.arrived = Arrival::Seen;
                "delivered"
            }
            _ => return,
        };
        self.count(word);
    }

    /// Raises a signal, and the same signal with its count.
    fn count(&mut self, word: &'static str) {
        let count = self.counts.entry(word).or_default();
        *count += 1;
        self.board.raise(word, "");
        self.board.raise(format!("{word}-{count}"), "");
    }
}
