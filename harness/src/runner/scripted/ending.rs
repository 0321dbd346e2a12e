//! How a scripted case ends: what was on its way arrives, a correct partner gets through, and what was
//! seen is graded.

use std::sync::Arc;

use simulated_partners::event::{ConnectionKind, Party, What};
use simulated_partners::persona;
use tokio::time::timeout;

use super::polling::next_stanza;
use super::{Bench, Deadlines};
use crate::judge;
use crate::judge::{Grade, Line, Verdicts, grade, unnoticed};
use crate::outcome::Outcome;
use crate::runner::case::{setup, start};
use crate::subject::inner_side::ping;

/// How often a correct partner tries to get through after a case.
const ATTEMPTS: u32 = 5;
/// The persona that gets in wherever there is a way.
const BEST: &str = "modern";

impl Bench<'_> {
    /// Everything that was on its way has arrived when this is through: the inner side answers, and a
    /// correct partner has got a stanza to it.
    pub(super) async fn finish(&mut self, deadlines: Deadlines) -> Result<Option<String>, String> {
        let alive = if self.script.alive {
            self.probe_life(deadlines).await?
        } else {
            None
        };
        if let Some(inner) = self.inner
            && timeout(deadlines.case, inner.barrier()).await.is_err()
        {
            return Err("the target's inner side does not answer".to_owned());
        }
        self.drain();
        let queries = self.queries();
        self.sights.extend(queries);
        Ok(alive)
    }

    /// What is wrong with the target afterwards, if anything is.
    pub(super) async fn probe_life(&self, deadlines: Deadlines) -> Result<Option<String>, String> {
        let best = persona::find(BEST).ok_or("the built-in persona for probes is missing")?;
        let domain = self.names.living();
        let mut stanzas = self.inner.map(|inner| inner.open(&domain, false));
        let setup = setup(self.lab, self.target, &domain, &Arc::new(best), deadlines);
        let mut partner = start(setup).await?;
        self.lab
            .publish(&domain, partner.address())
            .map_err(|error| error.to_string())?;
        let id = format!("probe-{domain}");
        let probe = ping(&id, &domain, &self.target.domain);
        partner.dial(probe.clone());
        let mut attempts = 1;
        let arrived = async {
            loop {
                tokio::select! {
                    stanza = next_stanza(&mut stanzas) => return stanza.is_some(),
                    event = partner.next_event() => match event.map(|event| event.what) {
                        None => return false,
                        Some(What::ConnectFailed(ConnectionKind::Inbound, _)) => return false,
                        // A target with short timeouts may have been too busy for it.
                        Some(What::Closed { .. }) if attempts < ATTEMPTS => {
                            attempts += 1;
                            partner.dial(probe.clone());
                        }
                        Some(what) => {
                            let answered = judge::element_from(&what, Party::Target)
                                .is_some_and(|element| element.attribute("id") == Some(&id));
                            if answered {
                                return true;
                            }
                        }
                    }
                }
            }
        };
        let got_through = timeout(deadlines.patience, arrived).await;
        partner.stop().await;
        Ok(match got_through {
            Ok(true) => None,
            Ok(false) => Some("takes no connection any more".to_owned()),
            Err(_) => Some("a correct partner does not get through any more".to_owned()),
        })
    }

    /// Expectations that a wrong target, or the accepting neighbour, would meet as well.
    pub(super) fn vacuous(&self) -> Vec<String> {
        let fill = |text: &str| self.names.fill(text, self.names.domain(), &self.board);
        let mut vacuous = Vec::new();
        for expect in &self.script.expect {
            let unnoticed = unnoticed(expect, &self.sights, &fill);
            vacuous.extend(
                unnoticed
                    .into_iter()
                    .map(|what| format!("`{expect}` is met even where {what}")),
            );
        }
        for (name, expected) in &self.script.siblings {
            let all_met = expected
                .iter()
                .all(|expect| grade(expect, &self.sights, &fill) == Grade::Met);
            if all_met {
                vacuous.push(format!("the control meets all that `{name}` expects"));
            }
        }
        vacuous
    }

    pub(super) fn verdicts(&self, outcome: &Outcome, alive: Option<String>) -> Verdicts {
        let lines = self
            .script
            .expect
            .iter()
            .map(|expect| Line {
                expect: expect.clone(),
                grade: {
                    let fill = |text: &str| self.names.fill(text, self.names.domain(), &self.board);
                    grade(expect, &self.sights, &fill)
                },
            })
            .collect();
        let allowed = &self.script.outcome;
        let fits = allowed.is_empty() || allowed.iter().any(|word| word.admits(outcome));
        let outcome = (!fits).then(|| {
            let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            format!(
                "it ended as {outcome}, where {} is allowed",
                words.join(" or ")
            )
        });
        Verdicts {
            lines,
            alive,
            outcome,
        }
    }
}
