//! A case on a target of which nothing is seen but the wires of partners.
//!
//! Inbound, a ping has arrived when its answer comes back, or when the target opens a stream of its
//! own after it. Outbound, a partner of the same domain gets in first by the best way that the
//! policy leaves; the stream on which the target answers its ping is the case.

use std::sync::Arc;

use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::event::{Close, ConnectionKind, Event, Party, TlsSignal, What};
use simulated_partners::persona::{self, AuthorityFact, Persona};
use simulated_partners::wire::{Element, Kind, NS_SERVER};
use tokio::time::{Instant, sleep_until, timeout};

use super::case::{Deadlines, Job, Observed, opened, setup, start};
use crate::case::Direction;
use crate::judge::{Arrival, Bounce, element_from};
use crate::lab::Lab;
use crate::oracle::{Profile, Situation, return_established};
use crate::subject::inner_side::ping;
use crate::subject::{Hidden, Running, Trigger};

/// The persona that gets in wherever there is a way.
const BEST: &str = "modern";

pub(super) async fn bench(
    job: &Job,
    lab: &Lab,
    target: &Running,
    hidden: &Hidden,
    profile: Profile,
    deadlines: Deadlines,
) -> Result<(Observed, Partner), String> {
    let bench = Bench {
        job,
        lab,
        target,
        hidden,
        deadlines,
        domain: job.case.domain(),
        probe: format!("probe-{}", job.case.domain()),
        whole: Instant::now() + deadlines.case,
    };
    let _names = Names {
        lab,
        domain: &bench.domain,
    };
    match job.case.direction {
        Direction::Inbound => bench.inbound(profile).await,
        Direction::Outbound => bench.outbound().await,
    }
}

/// A case while it runs.
struct Bench<'a> {
    job: &'a Job,
    lab: &'a Lab,
    target: &'a Running,
    hidden: &'a Hidden,
    deadlines: Deadlines,
    domain: String,
    probe: String,
    whole: Instant,
}

/// The records of a domain, for as long as the case runs.
struct Names<'a> {
    lab: &'a Lab,
    domain: &'a str,
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        self.lab.dns.records().remove(self.domain);
    }
}

impl Bench<'_> {
    async fn inbound(&self, profile: Profile) -> Result<(Observed, Partner), String> {
        let case = &self.job.case;
        let mut observed = Observed {
            answer_due: return_established(&Situation::of(case, profile)),
            ..Observed::default()
        };
        let mut partner = self.partner(&case.partner).await?;
        self.point_to(&partner)?;
        partner.dial(ping(&self.probe, &self.domain, &self.target.domain));
        while !self.answered_or_refused(&observed) {
            tokio::select! {
                event = partner.next_event() => match event {
                    Some(event) => self.inbound_event(&mut observed, event)?,
                    None => break,
                },
                () = sleep_until(self.whole) => break,
            }
        }
        if !observed.evidence.arrived.is_seen() && case.row.policy().valid() {
            // Whatever comes of the stanza sets out before the control does, and has the same way.
            let control = self.control();
            tokio::pin!(control);
            while !observed.evidence.answered {
                tokio::select! {
                    biased;
                    Some(event) = partner.next_event() => self.inbound_event(&mut observed, event)?,
                    () = &mut control => break,
                }
            }
        }
        while let Some(event) = ready(&mut partner).await {
            self.inbound_event(&mut observed, event)?;
        }
        if observed.evidence.arrived == Arrival::NotSeen && is_established(&observed.events) {
            observed.evidence.arrived = Arrival::NotObservable;
        }
        Ok((observed, partner))
    }

    fn inbound_event(&self, observed: &mut Observed, event: Event) -> Result<(), String> {
        if let What::ConnectFailed(ConnectionKind::Inbound, error) = &event.what
            && self.job.case.row.policy().valid()
        {
            return Err(format!(
                "the server does not answer at {}: {error}",
                self.target.address
            ));
        }
        let answer =
            element_from(&event.what, Party::Target).is_some_and(|element| self.is_probe(element));
        if answer {
            observed.evidence.answered = true;
            observed.evidence.arrived = Arrival::Seen;
        }
        // A stream that begins after the ping went out authenticated is there to answer it. Those
        // before may have come for a verification.
        if opened(&event.what) == Some(ConnectionKind::Outbound) && self.was_sent(&observed.events)
        {
            observed.evidence.arrived = Arrival::Seen;
        }
        observed.events.push(event);
        Ok(())
    }

    /// Whether nothing more has to be waited for on this case's own wires.
    fn answered_or_refused(&self, observed: &Observed) -> bool {
        if observed.evidence.answered {
            return true;
        }
        let over = observed.legs(ConnectionKind::Inbound) > 0
            && observed.all_over(ConnectionKind::Inbound);
        over || (!observed.answer_due && self.was_sent(&observed.events))
    }

    /// Whether the ping went out on an authenticated connection.
    fn was_sent(&self, events: &[Event]) -> bool {
        let Some(at) = events.iter().position(|event| {
            element_from(&event.what, Party::Partner).is_some_and(|element| self.is_probe(element))
        }) else {
            return false;
        };
        events[..at]
            .iter()
            .any(|event| event.leg == events[at].leg && matches!(event.what, What::Established(_)))
    }

    async fn outbound(&self) -> Result<(Observed, Partner), String> {
        match &self.hidden.trigger {
            Trigger::Reply => {
                let (entrant, entry) = self.get_in().await?;
                let mut subject = self.partner(&self.job.case.partner).await?;
                self.point_to(&subject)?;
                entry.send(ping(&self.probe, &self.domain, &self.target.domain));
                let observed = self.outbound_watch(&mut subject, Some(entrant)).await?;
                Ok((observed, subject))
            }
            Trigger::Command(call) => {
                let mut subject = self.partner(&self.job.case.partner).await?;
                self.point_to(&subject)?;
                let turn = self.hidden.turn().await;
                let sender = format!("juliet@{}", self.target.domain);
                call.filled(&[
                    ("sender", &sender),
                    ("receiver", &self.domain),
                    ("body", &self.probe),
                    ("id", &self.probe),
                ])
                .with("S2SPEC_CASE", &self.job.case.id)
                .with("S2SPEC_PARTNER", &self.domain)
                .run()
                .await
                .map_err(|error| error.to_string())?;
                drop(turn);
                let observed = self.outbound_watch(&mut subject, None).await?;
                Ok((observed, subject))
            }
        }
    }

    /// A partner of the case's domain that is authenticated with the target. The connections that
    /// the target opened for it are closed, and what it asked of DNS is forgotten.
    async fn get_in(&self) -> Result<(Partner, simulated_partners::driver::Entry), String> {
        let best = persona::find(BEST).ok_or("the built-in persona for triggers is missing")?;
        let best = Arc::new(best);
        let authority = self.partner(&best).await?;
        self.point_to(&authority)?;
        let mut entrant = self.partner(&best).await?;
        let entry = entrant.enter();
        loop {
            let event = tokio::select! {
                event = entrant.next_event() => event,
                () = sleep_until(self.whole) => {
                    return Err(no_way_in("the target did not authenticate it in time"));
                }
            };
            match event {
                None => return Err(no_way_in("it ended")),
                Some(event) => match &event.what {
                    What::Established(_) => break,
                    what => {
                        if let Some(why) = self.end_of(what) {
                            return Err(no_way_in(&why));
                        }
                    }
                },
            }
        }
        authority.stop().await;
        self.lab.dns.records().remove(&self.domain);
        Ok((entrant, entry))
    }

    /// How a trigger's connection ended, where it did.
    fn end_of(&self, what: &What) -> Option<String> {
        Some(match what {
            What::ConnectFailed(_, error) => {
                format!("nothing answers at {}: {error}", self.target.address)
            }
            What::TlsFailed { signal, .. } => match signal {
                TlsSignal::Alert(alert) => format!("TLS failed with the alert {alert}"),
                TlsSignal::Closed => "the connection was closed in the TLS handshake".to_owned(),
                TlsSignal::Garbage(what) => format!("TLS failed: {what}"),
            },
            What::GaveUp { waiting_for } => format!("the target kept it waiting: {waiting_for}"),
            What::Closed { by, how } => format!(
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

    /// Watches the target's own streams until the stanza came or the target has given up.
    async fn outbound_watch(
        &self,
        subject: &mut Partner,
        mut entrant: Option<Partner>,
    ) -> Result<Observed, String> {
        let mut observed = Observed::default();
        observed.evidence.bounced = Bounce::NotObservable { settled: false };
        let unreachable = self.job.case.partner.facts.authority == AuthorityFact::Unreachable;
        let service = format!("_xmpp-server._tcp.{}", self.domain);
        let whole = Instant::now() + self.deadlines.case;
        let mut settling = None;
        while !observed.evidence.arrived.is_seen() {
            let tried = observed.legs(ConnectionKind::Outbound) > 0;
            if tried && observed.all_over(ConnectionKind::Outbound) {
                settling.get_or_insert_with(|| Instant::now() + self.deadlines.settle);
            } else if tried {
                settling = None;
            }
            let until = settling.map_or(whole, |at| whole.min(at));
            tokio::select! {
                event = subject.next_event() => match event {
                    Some(event) => self.outbound_event(&mut observed, event),
                    None => break,
                },
                // Nobody listens for this partner: that it was looked up is all there is to see.
                () = self.lab.dns.records().asked(&service), if unreachable && settling.is_none() => {
                    settling = Some(Instant::now() + self.deadlines.settle);
                },
                Some(event) = next_of(&mut entrant), if !tried => {
                    if let Some(why) = self.end_of(&event.what) {
                        return Err(format!(
                            "the trigger was cut off before the target had dialled: {why}"
                        ));
                    }
                },
                () = sleep_until(until) => {
                    let settled = settling.is_some_and(|at| at <= Instant::now());
                    observed.evidence.bounced = Bounce::NotObservable { settled };
                    break;
                }
            }
        }
        while let Some(event) = ready(subject).await {
            self.outbound_event(&mut observed, event);
        }
        if let Some(entrant) = entrant {
            entrant.stop().await;
        }
        Ok(observed)
    }

    fn outbound_event(&self, observed: &mut Observed, event: Event) {
        let came =
            element_from(&event.what, Party::Target).is_some_and(|element| self.is_probe(element));
        if came {
            observed.evidence.arrived = Arrival::Seen;
        }
        observed.events.push(event);
    }

    /// A stanza with the probe's id, or with its text in the body.
    fn is_probe(&self, element: &Element) -> bool {
        element.namespace == NS_SERVER
            && (element.attribute("id") == Some(&self.probe)
                || element
                    .find(NS_SERVER, "body")
                    .is_some_and(|body| body.content().contains(&self.probe)))
    }

    /// Returns when a partner that has to be accepted got its answer, or had no luck in the time
    /// that a partner waits.
    async fn control(&self) {
        let domain = self.hidden.control_domain();
        let _names = Names {
            lab: self.lab,
            domain: &domain,
        };
        let Some(best) = persona::find(BEST).map(Arc::new) else {
            return;
        };
        let setup = setup(self.lab, self.target, &domain, &best, self.deadlines);
        let Ok(mut partner) = Partner::start(setup).await else {
            return;
        };
        if self.lab.publish(&domain, partner.address()).is_err() {
            return;
        }
        let id = format!("control-{}", self.probe);
        partner.dial(ping(&id, &domain, &self.target.domain));
        let answered = async {
            while let Some(event) = partner.next_event().await {
                let answer = element_from(&event.what, Party::Target)
                    .is_some_and(|element| element.attribute("id") == Some(&id));
                if answer || self.end_of(&event.what).is_some() {
                    return;
                }
            }
        };
        // A control that gets no answer shows nothing more than the time that it had.
        let _ = timeout(self.deadlines.patience, answered).await;
        partner.stop().await;
    }

    async fn partner(&self, persona: &Arc<Persona>) -> Result<Partner, String> {
        let setup: PartnerSetup =
            setup(self.lab, self.target, &self.domain, persona, self.deadlines);
        start(setup).await
    }

    fn point_to(&self, partner: &Partner) -> Result<(), String> {
        self.lab
            .publish(&self.domain, partner.address())
            .map_err(|error| error.to_string())
    }
}

fn no_way_in(why: &str) -> String {
    format!("no trigger: a correct partner of the same domain could not get in: {why}")
}

/// Whether the partner's own connection is authenticated and has not ended.
fn is_established(events: &[Event]) -> bool {
    let of_ours = |event: &&Event| {
        events.iter().any(|other| {
            other.leg == event.leg && opened(&other.what) == Some(ConnectionKind::Inbound)
        })
    };
    let mut ours = events.iter().filter(of_ours);
    let established = ours
        .clone()
        .any(|event| matches!(event.what, What::Established(_)));
    established
        && !ours.any(|event| match &event.what {
            What::Closed { .. } | What::GaveUp { .. } => true,
            What::Frame {
                from: Party::Target,
                frame,
                ..
            } => frame.kind == Kind::End,
            _ => false,
        })
}

/// The next event of a partner that may not be there.
async fn next_of(partner: &mut Option<Partner>) -> Option<Event> {
    partner.as_mut()?.next_event().await
}

/// An event that has happened already.
async fn ready(partner: &mut Partner) -> Option<Event> {
    tokio::select! {
        biased;
        event = partner.next_event() => event,
        () = std::future::ready(()) => None,
    }
}
