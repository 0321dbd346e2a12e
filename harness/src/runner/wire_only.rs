//! A case on a target where only the partners' wires are visible.
//!
//! Inbound, a ping has arrived when its answer comes back, or when the target opens its own
//! stream after it. Outbound, a partner of the same domain first gets in by the best way that the
//! policy allows; the stream on which the target answers its ping is the case.

use simulated_partners::driver::{Entry, Partner};
use simulated_partners::event::{Close, ConnectionKind, Event, EventKind, Party, TlsSignal};
use simulated_partners::persona::AuthorityFact;
use simulated_partners::stanza::ping;
use tokio::time::{Instant, sleep_until, timeout};

use super::case_run::CaseRun;
use super::error::CaseError;
use super::job::Job;
use super::observed::{Observed, opened};
use super::partners::{best, setup, start};
use super::plan::Deadlines;
use crate::case::Direction;
use crate::case::names::Names;
use crate::evidence::{Arrival, Bounce, Evidence};
use crate::lab::Lab;
use crate::subject::{Hidden, Running, Trigger};

/// A target without a visible backend.
pub(super) struct WireOnly<'a> {
    hidden: &'a Hidden,
    /// The partner whose ping makes the target dial, once it is accepted.
    entrant: Option<(Partner, Entry)>,
}

impl<'a> WireOnly<'a> {
    pub(super) fn new(hidden: &'a Hidden) -> Self {
        Self {
            hidden,
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

    /// Returns if the partner whose ping makes the target dial is disconnected before the target has
    /// dialled.
    pub(super) async fn trigger_lost(&mut self, target: &Running, seen: &Observed) -> CaseError {
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

    pub(super) fn inbound_event(
        job: &Job,
        target: &Running,
        names: &Names,
        observed: &mut Observed,
        event: &Event,
    ) -> Result<(), CaseError> {
        if let EventKind::ConnectFailed(ConnectionKind::Inbound, error) = &event.kind
            && job.allowed.is_some()
            && job.case.row.policy().valid()
        {
            return Err(CaseError::Unreachable {
                address: target.address,
                error: *error,
            });
        }
        // A stream that begins after the ping was sent authenticated is there to answer it. Earlier
        // ones may have been opened for a verification.
        if job.allowed.is_some()
            && opened(&event.kind) == Some(ConnectionKind::Outbound)
            && observed.was_sent(names.probe())
        {
            observed.evidence.arrived = Arrival::Seen;
        }
        Ok(())
    }

    /// Outbound, all attempts of the target have ended; or nothing listens for this partner, and the
    /// lookup is all there is to see.
    pub(super) fn is_settling(job: &Job, observed: &Observed) -> bool {
        let unreachable = job.case.partner.facts.authority == AuthorityFact::Unreachable;
        if observed.connections(ConnectionKind::Outbound) > 0 {
            observed.all_over(ConnectionKind::Outbound)
        } else {
            unreachable && observed.looked_up
        }
    }
}

impl CaseRun<'_> {
    /// Outbound, if pings make the target dial, a partner of the case's domain gets in. The
    /// connections that the target opened for it are closed, and its DNS queries are forgotten.
    pub(super) async fn prepare_trigger(&mut self, until: Instant) -> Result<(), CaseError> {
        let super::backend::Backend::WireOnly(wire) = &mut self.backend else {
            return Ok(());
        };
        let replies = matches!(wire.hidden.trigger, Trigger::Reply);
        if !replies || self.job.case.direction == Direction::Inbound {
            return Ok(());
        }
        let domain = self.names.domain();
        let setup = || {
            let best = best()?;
            Ok::<_, CaseError>(setup(self.lab, self.target, domain, &best, self.deadlines))
        };
        let authority = start(setup()?).await?;
        self.lab.publish(domain, authority.address())?;
        let mut entrant = start(setup()?).await?;
        let entry = entrant.enter();
        loop {
            let event = tokio::select! {
                event = entrant.next_event() => event,
                () = sleep_until(until) => {
                    let why = "the target did not authenticate it in time".to_owned();
                    return Err(CaseError::NoTrigger(why));
                }
            };
            match event.map(|event| event.kind) {
                None => return Err(CaseError::NoTrigger("it ended".to_owned())),
                Some(EventKind::Established(_)) => break,
                Some(what) => {
                    if let Some(why) = end_of(&what, self.target) {
                        return Err(CaseError::NoTrigger(why));
                    }
                }
            }
        }
        authority.stop().await;
        self.lab.dns.records().remove(domain);
        wire.entrant = Some((entrant, entry));
        Ok(())
    }

    /// Makes the target send the probe to the partner.
    pub(super) async fn send_probe(&mut self) -> Result<(), CaseError> {
        let (probe, domain) = (self.names.probe(), self.names.domain());
        let sender = format!("juliet@{}", self.target.domain);
        let super::backend::Backend::WireOnly(wire) = &self.backend else {
            self.backend.send(&ping(probe, &sender, domain)).await;
            return Ok(());
        };
        match (&wire.hidden.trigger, &wire.entrant) {
            (Trigger::Reply, Some((_, entry))) => {
                entry.send(ping(probe, domain, &self.target.domain));
            }
            (Trigger::Reply, None) => {}
            (Trigger::Command(call), _) => {
                let _turn = wire.hidden.turn().await;
                call.filled(&[
                    ("sender", &sender),
                    ("receiver", domain),
                    ("body", probe),
                    ("id", probe),
                ])
                .with("S2SPEC_CASE", &self.job.case.id)
                .with("S2SPEC_PARTNER", domain)
                .run()
                .await
                .map_err(|error| CaseError::Command(error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Inbound, any result of the probe is sent before that of a later control and takes the same path, so
    /// the case waits until a control has its answer.
    pub(super) async fn outwait_control(&mut self) -> Result<(), CaseError> {
        let super::backend::Backend::WireOnly(wire) = &self.backend else {
            return Ok(());
        };
        let control = control(
            wire.hidden,
            self.lab,
            self.target,
            self.deadlines,
            format!("control-{}", self.names.probe()),
        );
        let mut control = std::pin::pin!(control);
        while !self.observed.evidence.answered {
            tokio::select! {
                biased;
                (at, event) = super::partners::next_event(&mut self.partners) => {
                    self.event(at, event)?;
                }
                () = &mut control => break,
            }
        }
        Ok(())
    }

    /// Whether an established stream that stays open delivered anything is unknown here.
    pub(super) fn admit_blindness(&mut self) {
        let observed = &mut self.observed;
        if !self.backend.is_attached()
            && self.job.allowed.is_some()
            && self.job.case.direction == Direction::Inbound
            && observed.evidence.arrived == Arrival::NotSeen
            && observed.stays_established()
        {
            observed.evidence.arrived = Arrival::NotObservable;
        }
    }

    /// Ends the partner whose ping made the target dial.
    pub(super) async fn stop_trigger(&mut self) {
        if let super::backend::Backend::WireOnly(wire) = &mut self.backend
            && let Some((entrant, _)) = wire.entrant.take()
        {
            entrant.stop().await;
        }
    }
}

/// Returns when a conforming partner got its answer, or its waiting
/// time has passed.
async fn control(hidden: &Hidden, lab: &Lab, target: &Running, deadlines: Deadlines, id: String) {
    let domain = hidden.control_domain();
    let Ok(best) = best() else { return };
    let setup = setup(lab, target, &domain, &best, deadlines);
    let Ok(mut partner) = start(setup).await else {
        return;
    };
    if lab.publish(&domain, partner.address()).is_ok() {
        partner.dial(ping(&id, &domain, &target.domain));
        let answered = async {
            while let Some(event) = partner.next_event().await {
                let answer = event
                    .kind
                    .element_from(Party::Target)
                    .is_some_and(|element| element.attribute("id") == Some(&id));
                if answer || end_of(&event.kind, target).is_some() {
                    return;
                }
            }
        };
        // A control without an answer shows no more than the time it had.
        let _ = timeout(deadlines.patience, answered).await;
    }
    lab.dns.records().remove(&domain);
    partner.stop().await;
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
