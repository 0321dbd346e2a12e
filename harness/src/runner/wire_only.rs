//! A case on a target where only the partners' wires are visible.
//!
//! Inbound, a ping has arrived when its answer comes back, or when the target opens its own
//! stream after it. Outbound, a partner of the same domain first gets in by the best way that the
//! policy allows; the stream on which the target answers its pings is the case. In a scenario, stanzas of the
//! inner side become such pings (`case/outside.rs`).

use std::net::SocketAddr;

use simulated_partners::driver::{Entry, Partner, PartnerSetup};
use simulated_partners::event::{Close, ConnectionKind, Event, EventKind, Party, TlsSignal};
use simulated_partners::persona::AuthorityFact;
use simulated_partners::stanza::ping;
use simulated_partners::wire::Element;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::CaseError;
use super::job::Bench;
use super::observed::{Observed, opened};
use super::partners::{best, correct, setup, start};
use super::plan::Job;
use super::ways::BRIEF;
use crate::case::names::Names;
use crate::case::{Direction, Script};
use crate::evidence::{Arrival, Bounce, Evidence};
use crate::subject::{Hidden, Running, Trigger};

/// Between the seeds of partners that get in one after the other. Those of one domain never repeat stream ids.
const FURTHER: u64 = 1 << 32;

/// A target without a visible backend.
pub(super) struct WireOnly<'a> {
    hidden: &'a Hidden,
    job: &'a Job,
    bench: Bench<'a>,
    domain: String,
    /// The domain of the partner whose ping ends the wait for another's.
    control: String,
    /// The id of the stanza whose delivery is the case.
    probe: String,
    /// The partner whose ping makes the target dial, once it is accepted.
    entrant: Option<(Partner, Entry)>,
}

impl<'a> WireOnly<'a> {
    pub(super) fn new(
        hidden: &'a Hidden,
        job: &'a Job,
        script: &Script,
        bench: Bench<'a>,
        names: &Names,
    ) -> Self {
        Self {
            hidden,
            job,
            bench,
            domain: names.of_main(script),
            control: names.control().to_owned(),
            probe: names.probe().to_owned(),
            entrant: None,
        }
    }

    /// The sender of outbound stanzas cannot be asked whether they came back.
    pub(super) fn evidence(direction: Direction) -> Evidence {
        let bounced = match direction {
            Direction::Outbound => Bounce::NotObservable { settled: false },
            Direction::Inbound => Bounce::NotSeen,
        };
        Evidence {
            bounced,
            ..Evidence::default()
        }
    }

    fn is_inbound(&self) -> bool {
        self.job.case.direction == Direction::Inbound
    }

    /// Outbound, if pings make the target dial, a partner of the case's domain gets in. Its keys are
    /// verified at the places that DNS names all through the case. The connections that the target
    /// opened for that are closed, and its DNS queries are forgotten.
    ///
    /// Returns whether the target has looked for the domain.
    pub(super) async fn prepare(
        &mut self,
        places: &[SocketAddr],
        until: Instant,
    ) -> Result<bool, CaseError> {
        let replies = matches!(self.hidden.trigger, Trigger::Reply);
        if !replies || self.is_inbound() {
            return Ok(false);
        }
        let lab = self.bench.lab;
        let setup = || Ok::<_, CaseError>(setup(self.bench, &self.domain, &best()?));
        let mut authorities = Vec::new();
        for (at, &listen) in (1..).zip(places) {
            let setup = setup()?;
            // Stream ids of one domain never repeat.
            let seed = setup.seed.wrapping_add(at);
            let setup = PartnerSetup {
                listen,
                seed,
                ..setup
            };
            authorities.push(start(setup).await?);
        }
        let (entrant, entry) = self.enter(until).await?;
        for authority in authorities {
            authority.stop().await;
        }
        let records = lab.dns.records();
        let looked_up = !records.queries_below(&self.domain).is_empty();
        records.forget(&self.domain);
        self.entrant = Some((entrant, entry));
        Ok(looked_up)
    }

    /// A partner of the case's domain that got in. A server without a processor can run out of its own patience, so one
    /// that took its time before it ended the stream is asked again.
    async fn enter(&self, until: Instant) -> Result<(Partner, Entry), CaseError> {
        let mut seed = self.bench.seed;
        loop {
            let began = Instant::now();
            let mut entrant = start(PartnerSetup {
                seed,
                ..setup(self.bench, &self.domain, &best()?)
            })
            .await?;
            let entry = entrant.enter();
            match gets_in(&mut entrant, self.bench.target, until).await {
                Ok(()) => return Ok((entrant, entry)),
                Err(_) if began.elapsed() >= BRIEF && Instant::now() < until => {
                    entrant.stop().await;
                    seed = seed.wrapping_add(FURTHER);
                }
                Err(why) => return Err(CaseError::NoTrigger(why)),
            }
        }
    }

    /// Makes the target send the probe to the partner.
    pub(super) async fn send_probe(&self) -> Result<(), CaseError> {
        let request = ping(&self.probe, &self.domain, &self.bench.target.domain);
        self.request(&request).await
    }

    /// Makes the target send the answer to this request of the partner, or what a command sends with its id.
    pub(super) async fn request(&self, request: &Element) -> Result<(), CaseError> {
        let Trigger::Command(call) = &self.hidden.trigger else {
            if let Some((_, entry)) = &self.entrant {
                entry.send(request.clone());
            }
            return Ok(());
        };
        let _turn = self.hidden.turn().await;
        let (target, domain) = (&self.bench.target.domain, self.domain.as_str());
        let id = request.attribute("id").unwrap_or(&self.probe);
        call.filled(&[
            ("sender", &format!("juliet@{target}")),
            ("receiver", domain),
            ("body", id),
            ("id", id),
        ])
        .with("S2SPEC_CASE", &self.job.case.id)
        .with("S2SPEC_PARTNER", domain)
        .run()
        .await
        .map_err(|error| CaseError::Command(error.to_string()))?;
        Ok(())
    }

    /// Returns if the partner whose ping makes the target dial is disconnected before the target has
    /// dialled.
    pub(super) async fn trigger_lost(&mut self, seen: &Observed) -> CaseError {
        let target = self.bench.target;
        let dialled = seen.connections(ConnectionKind::Outbound) > 0;
        let Some((entrant, _)) = self.entrant.as_mut().filter(|_| !dialled) else {
            return std::future::pending().await;
        };
        while let Some(event) = entrant.next_event().await {
            if let Some(why) = end_of(&event.kind, target) {
                return CaseError::TriggerLost(why);
            }
        }
        std::future::pending().await
    }

    /// Inspects an event of the main partner before it is recorded.
    pub(super) fn event(&self, observed: &mut Observed, event: &Event) -> Result<(), CaseError> {
        if !self.is_inbound() || !self.job.case.script.by_oracle() {
            return Ok(());
        }
        if let EventKind::ConnectFailed(ConnectionKind::Inbound, error) = &event.kind
            && self.job.case.row.policy().valid()
        {
            return Err(CaseError::Unreachable {
                address: self.bench.target.address,
                error: *error,
            });
        }
        // A stream that begins after the ping was sent authenticated is there to answer it. Earlier
        // ones may have been opened for a verification.
        if opened(&event.kind) == Some(ConnectionKind::Outbound) && observed.was_sent(&self.probe) {
            observed.evidence.arrived = Arrival::Seen;
        }
        Ok(())
    }

    /// Whether a case that the oracle decides is over.
    pub(super) fn is_decided(&self, observed: &Observed) -> bool {
        let evidence = observed.evidence;
        match self.job.case.direction {
            Direction::Outbound => evidence.arrived.is_seen(),
            Direction::Inbound => {
                evidence.answered
                    || observed.over(ConnectionKind::Inbound)
                    || (!self.job.answer_due && observed.was_sent(&self.probe))
            }
        }
    }

    /// Outbound, all attempts of the target have ended; or nothing listens for this partner, and the
    /// lookup is all there is to see.
    pub(super) fn is_settling(&self, observed: &Observed) -> bool {
        let unreachable = self.job.case.partner.facts.authority == AuthorityFact::Unreachable;
        if observed.connections(ConnectionKind::Outbound) > 0 {
            observed.all_over(ConnectionKind::Outbound)
        } else {
            unreachable && observed.looked_up
        }
    }

    /// Returns when a correct partner got its answer, or its waiting time has passed.
    pub(super) fn control(&self) -> impl Future<Output = ()> + use<'a> {
        let (bench, domain) = (self.bench, self.control.clone());
        let id = format!("control-{}", self.probe);
        async move {
            let Ok(mut partner) = correct(bench, &domain, false).await else {
                return;
            };
            partner.dial(ping(&id, &domain, &bench.target.domain));
            let answered = async {
                // The target's own connections end when it has verified a key.
                let mut ours = None;
                while let Some(event) = partner.next_event().await {
                    if opened(&event.kind) == Some(ConnectionKind::Inbound) {
                        ours = Some(event.connection);
                    }
                    let answer = event.kind.element_from(Party::Target);
                    let answer = answer.is_some_and(|one| one.attribute("id") == Some(&id));
                    let is_over = ours == Some(event.connection)
                        && end_of(&event.kind, bench.target).is_some();
                    if answer || is_over {
                        return;
                    }
                }
            };
            // A control without an answer shows no more than the time it had.
            let _ = timeout(bench.deadlines.patience, answered).await;
            partner.stop().await;
        }
    }

    /// Whether an established stream that stays open delivered anything is unknown here.
    pub(super) fn admit_blindness(&self, observed: &mut Observed) {
        if self.job.case.script.by_oracle()
            && self.is_inbound()
            && observed.evidence.arrived == Arrival::NotSeen
            && observed.stays_established()
        {
            observed.evidence.arrived = Arrival::NotObservable;
        }
    }

    /// Ends the partner whose ping made the target dial.
    pub(super) async fn stop(&mut self) {
        if let Some((entrant, _)) = self.entrant.take() {
            entrant.stop().await;
        }
    }
}

/// Waits until a partner is authenticated.
async fn gets_in(partner: &mut Partner, target: &Running, until: Instant) -> Result<(), String> {
    loop {
        let event = tokio::select! {
            event = partner.next_event() => event,
            () = sleep_until(until) => {
                return Err("the target did not authenticate it in time".to_owned());
            }
        };
        match event.map(|event| event.kind) {
            None => return Err("it ended".to_owned()),
            Some(EventKind::Established(_)) => return Ok(()),
            Some(what) => {
                if let Some(why) = end_of(&what, target) {
                    return Err(why);
                }
            }
        }
    }
}

/// How a partner's connection ended, if it did.
fn end_of(what: &EventKind, target: &Running) -> Option<String> {
    Some(match what {
        EventKind::ConnectFailed(_, error) => {
            format!("nothing answers at {}: {error}", target.address)
        }
        EventKind::TlsFailed { signal, .. } => match signal {
            TlsSignal::Alert(alert) => format!("TLS failed with the alert {alert}"),
            TlsSignal::Closed => "the connection was closed in the TLS handshake".to_owned(),
            TlsSignal::Garbage(what) => format!("TLS failed: {what}"),
        },
        EventKind::GaveUp { waiting_for } => format!("the target kept it waiting: {waiting_for}"),
        EventKind::Closed { by, how } => format!(
            "{} ended the stream{}",
            match by {
                Party::Target => "the target",
                Party::Partner => "having found no way, it",
            },
            match how {
                Close::Stream => "",
                Close::Fin => " by closing TCP",
                Close::Reset => " by a reset",
            }
        ),
        _ => return None,
    })
}
