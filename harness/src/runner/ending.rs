//! Ends a case: pending events arrive, a conforming partner gets through if required,
//! and the observations are judged.

use std::time::Duration;

use simulated_partners::event::{ConnectionKind, EventKind, Party};
use simulated_partners::stanza::ping;
use tokio::time::timeout;

use super::case_run::CaseRun;
use super::error::CaseError;
use super::partners::{best, setup, start};
use crate::finding::Finding;
use crate::judge::{
    self, Grade, OracleCase, ScriptCase, against_oracle, against_script, grade, unnoticed,
};
use crate::oracle::prohibited::violations;
use crate::oracle::{Profile, Situation, second_opinions};
use crate::outcome::Outcome;

/// The time limit for an answer from the target's local side, which is not under test.
const INNER_SIDE: Duration = Duration::from_secs(20);
/// How often a conforming partner tries to get through after a case.
const ATTEMPTS: u32 = 5;

impl CaseRun<'_> {
    /// Waits until everything pending has arrived. Returns a problem with the target
    /// afterwards, if any.
    pub(super) async fn finish(&mut self) -> Result<Option<String>, CaseError> {
        let health = if self.script.alive {
            self.check_health().await?
        } else {
            None
        };
        let unseen = self.is_inbound() && !self.observed.evidence.arrived.is_seen();
        if let Some(inner) = self.backend.inner().filter(|_| unseen || !self.by_oracle()) {
            timeout(INNER_SIDE, inner.barrier())
                .await
                .map_err(|_| CaseError::InnerSideSilent)?;
        }
        if unseen && self.by_oracle() && self.job.case.row.policy().valid() {
            self.outwait_control().await?;
        }
        for one in &self.partners {
            one.partner.settle().await;
        }
        self.drain()?;
        self.admit_blindness();
        self.stop_trigger().await;
        let queries = self.queries();
        self.observed.observations.extend(queries);
        Ok(health)
    }

    /// Checks that a conforming partner still gets through.
    async fn check_health(&self) -> Result<Option<String>, CaseError> {
        let domain = self.names.living();
        let mut stanzas = self
            .backend
            .inner()
            .map(|inner| inner.open(std::slice::from_ref(&domain), false, None));
        let setup = setup(self.lab, self.target, &domain, &best()?, self.deadlines);
        let mut partner = start(setup).await?;
        self.lab.publish(&domain, partner.address())?;
        let id = format!("probe-{domain}");
        let probe = ping(&id, &domain, &self.target.domain);
        partner.dial(probe.clone());
        let mut attempts = 1;
        let arrived = async {
            loop {
                let delivered = async {
                    match &mut stanzas {
                        Some(stanzas) => stanzas.next().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    stanza = delivered => return stanza.is_some(),
                    event = partner.next_event() => match event.map(|event| event.kind) {
                        None | Some(EventKind::ConnectFailed(ConnectionKind::Inbound, _)) => return false,
                        // A target with short timeouts may have been too busy.
                        Some(EventKind::Closed { .. }) if attempts < ATTEMPTS => {
                            attempts += 1;
                            partner.dial(probe.clone());
                        }
                        Some(what) => {
                            let answered = what.element_from(Party::Target)
                                .is_some_and(|element| element.attribute("id") == Some(&id));
                            if answered {
                                return true;
                            }
                        }
                    }
                }
            }
        };
        let got_through = timeout(self.deadlines.patience, arrived).await;
        partner.stop().await;
        Ok(match got_through {
            Ok(true) => None,
            Ok(false) => Some("it no longer accepts connections".to_owned()),
            Err(_) => Some("its stanza no longer gets through".to_owned()),
        })
    }

    /// The outcome and its findings.
    pub(super) fn judge(&self, profile: Profile, health: Option<&str>) -> (Outcome, Vec<Finding>) {
        let case = &self.job.case;
        let observed = &self.observed;
        let outcome = judge::read(case.direction, &observed.events, observed.evidence);
        let findings = match &self.job.allowed {
            Some(allowed) => against_oracle(&OracleCase {
                direction: case.direction,
                allowed,
                opinions: &second_opinions(case, profile),
                outcome: &outcome,
                violations: &violations(&Situation::of(case, profile), &observed.events),
                evidence: observed.evidence,
                answer_due: self.awaits_answer(),
            }),
            None => against_script(&ScriptCase {
                script: self.script,
                requirements: case.requirements(),
                observations: &observed.observations,
                outcome: &outcome,
                health,
                fill: &self.fill(),
            }),
        };
        (outcome, findings)
    }

    /// Expectations that a wrong target, or the accepting neighbour, would also satisfy.
    pub(super) fn vacuous(&self) -> Vec<String> {
        let fill = self.fill();
        let observations = &self.observed.observations;
        let unnoticed = self.script.expect.iter().flat_map(|expect| {
            let unnoticed = unnoticed(expect, observations, &fill);
            unnoticed
                .into_iter()
                .map(move |what| format!("`{expect}` is satisfied even if {what}"))
        });
        let siblings = self.job.case.scenario().into_iter().flat_map(|scenario| {
            scenario.siblings.iter().filter(|(_, expected)| {
                expected
                    .iter()
                    .all(|expect| grade(expect, observations, &fill) == Grade::Met)
            })
        });
        unnoticed
            .chain(
                siblings.map(|(name, _)| {
                    format!("the control satisfies everything that `{name}` expects")
                }),
            )
            .collect()
    }
}
