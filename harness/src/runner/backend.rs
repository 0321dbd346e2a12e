//! What is behind the target in a case: a link to its inner side, or nothing visible.

use std::net::SocketAddr;

use simulated_partners::event::{ConnectionKind, Event};
use simulated_partners::stanza::{is_question, ping, result};
use simulated_partners::wire::Element;
use tokio::time::Instant;

use super::error::CaseError;
use super::job::Bench;
use super::observed::Observed;
use super::partners::ready;
use super::plan::Job;
use super::wire_only::WireOnly;
use crate::case::names::Names;
use crate::case::{Direction, Script};
use crate::evidence::Evidence;
use crate::subject::Inside;
use crate::subject::inner_side::{InnerSide, Stanzas};

/// What is behind the target.
pub(super) enum Backend<'a> {
    /// Stanzas are sent and received over our own link.
    Attached {
        inner: &'a InnerSide,
        /// Stanzas received from the case's domains.
        stanzas: Stanzas,
        /// Whether requests among them are answered.
        answers: bool,
    },
    /// Only the partners' wires are visible.
    WireOnly(Box<WireOnly<'a>>),
}

impl<'a> Backend<'a> {
    /// The backend of a running target, opened for a case.
    pub(super) fn of(job: &'a Job, script: &Script, bench: Bench<'a>, names: &Names) -> Self {
        match &bench.target.inner {
            Inside::Hidden(hidden) => {
                Self::WireOnly(Box::new(WireOnly::new(hidden, job, script, bench, names)))
            }
            Inside::Linked(inner) => {
                let domains: Vec<String> = names.domains(script).into_iter().collect();
                let answers = job.answer_due && job.case.direction == Direction::Inbound;
                let mark = (!script.by_oracle()).then(|| names.probe());
                Self::Attached {
                    inner,
                    stanzas: inner.open(&domains, answers, mark),
                    answers: answers && inner.is_link(),
                }
            }
        }
    }

    pub(super) fn is_attached(&self) -> bool {
        self.inner().is_some()
    }

    /// The link, if there is one.
    pub(super) fn inner(&self) -> Option<&'a InnerSide> {
        match self {
            Self::Attached { inner, .. } => Some(inner),
            Self::WireOnly(_) => None,
        }
    }

    /// The state of the probe before anything has happened.
    pub(super) fn evidence(&self, direction: Direction) -> Evidence {
        match self {
            Self::Attached { .. } => Evidence::default(),
            Self::WireOnly(_) => WireOnly::evidence(direction),
        }
    }

    /// Does what has to be done before the partners of the case are there. Returns whether the target
    /// has looked for their domain in this.
    pub(super) async fn prepare(
        &mut self,
        places: &[SocketAddr],
        until: Instant,
    ) -> Result<bool, CaseError> {
        match self {
            Self::Attached { .. } => Ok(false),
            Self::WireOnly(wire) => wire.prepare(places, until).await,
        }
    }

    /// Makes the target send the probe to the partner. Returns what went in for that, if there is a link.
    pub(super) async fn send_probe(
        &self,
        names: &Names,
        target: &str,
    ) -> Result<Option<Element>, CaseError> {
        match self {
            Self::Attached { inner, .. } => {
                let sender = format!("juliet@{target}");
                let probe = ping(names.probe(), &sender, names.domain());
                inner.send(&probe).await;
                Ok(Some(probe))
            }
            Self::WireOnly(wire) => wire.send_probe().await.map(|()| None),
        }
    }

    /// Sends a stanza from the inner side. Without a link, it is the request that the target answers.
    pub(super) async fn send(&self, stanza: &Element) -> Result<(), CaseError> {
        match self {
            Self::Attached { inner, .. } => {
                inner.send(stanza).await;
                Ok(())
            }
            Self::WireOnly(wire) => wire.request(stanza).await,
        }
    }

    /// Sends text from the inner side as it is. Without a link no case asks for that.
    pub(super) async fn send_raw(&self, text: &str) {
        if let Self::Attached { inner, .. } = self {
            inner.send_raw(text).await;
        }
    }

    /// The next stanza that reaches the inner side; cancel-safe.
    pub(super) async fn next(&mut self, observed: &Observed) -> Result<Element, CaseError> {
        match self {
            Self::Attached { stanzas, .. } => match stanzas.next().await {
                Some(stanza) => Ok(stanza),
                None => std::future::pending().await,
            },
            Self::WireOnly(wire) => Err(wire.trigger_lost(observed).await),
        }
    }

    /// A stanza that has already reached the inner side.
    pub(super) fn waiting(&mut self) -> Option<Element> {
        match self {
            Self::Attached { stanzas, .. } => ready(stanzas.next()).flatten(),
            Self::WireOnly(_) => None,
        }
    }

    /// What a stanza from the inner side was answered with there, if it was.
    pub(super) fn answer_to(&self, stanza: &Element) -> Option<Element> {
        match self {
            Self::Attached { answers: true, .. } if is_question(stanza) => Some(result(stanza)),
            Self::Attached { .. } | Self::WireOnly(_) => None,
        }
    }

    /// Inspects an event of the main partner before it is recorded.
    pub(super) fn event(&self, observed: &mut Observed, event: &Event) -> Result<(), CaseError> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::WireOnly(wire) => wire.event(observed, event),
        }
    }

    /// Whether a case that the oracle decides is over.
    pub(super) fn is_decided(&self, job: &Job, observed: &Observed) -> bool {
        let evidence = observed.evidence;
        match (self, job.case.direction) {
            (Self::WireOnly(wire), _) => wire.is_decided(observed),
            (Self::Attached { .. }, direction) if evidence.arrived.is_seen() => {
                // The way back was tried and ended.
                let is_lost =
                    direction == Direction::Outbound && observed.over(ConnectionKind::Inbound);
                !job.answer_due || evidence.answered || is_lost
            }
            (Self::Attached { .. }, Direction::Inbound) => observed.over(ConnectionKind::Inbound),
            (Self::Attached { .. }, Direction::Outbound) => {
                evidence.bounced.is_final() && observed.all_over(ConnectionKind::Outbound)
            }
        }
    }

    /// Whether such a case waits only for a refused stream to end.
    pub(super) fn is_settling(&self, job: &Job, observed: &Observed) -> bool {
        job.case.direction == Direction::Outbound
            && match self {
                // A target that returns nothing has had its time.
                Self::Attached { inner, .. } => {
                    observed.evidence.bounced.is_final()
                        || inner.is_mute() && observed.over(ConnectionKind::Outbound)
                }
                Self::WireOnly(wire) => wire.is_settling(observed),
            }
    }

    /// Without a link: returns when a correct partner got its answer, or its waiting time has passed.
    pub(super) fn control(&self) -> Option<impl Future<Output = ()> + use<'a>> {
        match self {
            Self::Attached { .. } => None,
            Self::WireOnly(wire) => Some(wire.control()),
        }
    }

    /// Says so where it cannot be seen whether the probe arrived.
    pub(super) fn admit_blindness(&self, observed: &mut Observed) {
        if let Self::WireOnly(wire) = self {
            wire.admit_blindness(observed);
        }
    }

    /// Stops what [`Backend::prepare`] started.
    pub(super) async fn stop(&mut self) {
        if let Self::WireOnly(wire) = self {
            wire.stop().await;
        }
    }
}
