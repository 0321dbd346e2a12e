//! Ends a case: a correct partner gets through if required, pending events arrive, and the
//! observations are judged.

use std::collections::BTreeSet;

use simulated_partners::event::{ConnectionKind, EventKind, Party};
use simulated_partners::persona::Certificate;
use simulated_partners::stanza::ping;
use tokio::time::{Instant, timeout};

use super::case_run::{CaseRun, End};
use super::error::CaseError;
use super::group::Company;
use super::lateness::Wait;
use super::loss::Loss;
use super::partners::{correct, next_event};
use super::plan::Job;
use super::timing;
use super::ways::{BRIEF, Way};
use crate::case::{Expect, Role, Sees};
use crate::evidence::{Ailment, Bounce, Evidence};
use crate::finding::{Finding, Sign};
use crate::judge::{
    self, Grade, OracleCase, ScriptCase, against_oracle, against_script, grade, unnoticed,
};
use crate::oracle::prohibited::violations;
use crate::oracle::{Situation, second_opinions};
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};
use crate::record::{Beside, CaseResult, Run};
use crate::transcript;
use crate::verdict::Weight;

/// How often a correct partner tries to get through after a case.
const ATTEMPTS: u32 = 5;

impl CaseRun<'_> {
    /// Waits until everything pending has arrived. Returns a problem with the target
    /// afterwards, if any.
    pub(super) async fn finish(&mut self) -> Result<Option<Ailment>, CaseError> {
        let health = if self.script.alive {
            let health = self.check_health().await?;
            if health == Some(Ailment::Silent) {
                let patience = self.bench.deadlines.patience;
                self.gave_up = self.gave_up.max(Some(patience));
            }
            health
        } else {
            None
        };
        let unseen = self.is_inbound() && !self.observed.evidence.arrived.is_seen();
        if let Some(inner) = self
            .backend
            .inner()
            .filter(|_| unseen || !self.script.by_oracle())
        {
            let was_mute = inner.is_mute();
            self.bench.instance.barrier(inner).await;
            if inner.is_mute() && !was_mute {
                self.ran_out();
            }
        }
        if unseen && self.script.by_oracle() && self.job.case.row.policy().valid() {
            self.outwait_control().await?;
        }
        for one in &self.partners {
            one.partner.settle().await;
        }
        // What a case may keep bounds this.
        self.drain(usize::MAX)?;
        self.backend.admit_blindness(&mut self.observed);
        self.backend.stop().await;
        let queries = self.queries();
        self.observed.observations.extend(queries);
        Ok(health)
    }

    /// Inbound, without a link, any result of the probe is sent before that of a later control and takes
    /// the same path, so the case waits until a control has its answer.
    async fn outwait_control(&mut self) -> Result<(), CaseError> {
        let Some(control) = self.backend.control() else {
            return Ok(());
        };
        let mut control = std::pin::pin!(control);
        while !self.observed.evidence.answered {
            tokio::select! {
                biased;
                (at, event) = next_event(&mut self.partners) => self.event(at, event)?,
                () = &mut control => break,
            }
        }
        Ok(())
    }

    /// Checks that a correct partner still gets through.
    async fn check_health(&mut self) -> Result<Option<Ailment>, CaseError> {
        let domain = self.names.living().to_owned();
        let mut stanzas = self
            .backend
            .inner()
            .map(|inner| inner.open(std::slice::from_ref(&domain), false, None));
        let mut partner = correct(self.bench, &domain, false).await?;
        let id = format!("alive-{}", self.names.probe());
        let probe = ping(&id, &domain, &self.bench.target.domain);
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
        let is_brief = self.bench.company != Company::None && self.bench.ways.is_closed(Way::In);
        let patience = match is_brief {
            true => self.bench.stretch * BRIEF,
            false => self.bench.deadlines.patience,
        };
        let since = Instant::now();
        let got_through = timeout(patience, arrived).await;
        partner.stop().await;
        // A second attempt may still be on its way.
        self.aftermath = stanzas;
        if got_through.is_err() {
            self.waited(Wait {
                since,
                length: patience,
            });
            if is_brief {
                self.cut_short = Some(Way::In);
            }
        }
        Ok(match got_through {
            Ok(true) => None,
            Ok(false) => Some(Ailment::Closed),
            Err(_) => Some(Ailment::Silent),
        })
    }

    /// The result of a case that has ended.
    pub(super) fn result(&self, done: Result<Option<Ailment>, CaseError>) -> CaseResult {
        let job = self.job;
        let health = match done {
            Ok(health) => health,
            Err(CaseError::TargetLost(loss)) => return self.result_of_loss(&loss),
            Err(error) => return job.result(Run::Failed(error.to_string())),
        };
        let vacuous = if self.bench.prove {
            self.vacuous()
        } else {
            Vec::new()
        };
        let run = if vacuous.is_empty() {
            let (outcome, findings) = self.judge(health);
            if self.goes_by_certificates(&findings) {
                let why = "the target takes a dialback key on the strength of the partner's certificate, without \
                           asking about it (XEP-0220 §2.1.1)";
                return self.ended(Run::Unsupported(why.to_owned()));
            }
            match self.left_undone(&findings) {
                Some(what) => Run::Failed(what),
                None => Run::Ended { outcome, findings },
            }
        } else {
            Run::Failed(format!("it proves nothing: {}", vacuous.join("; ")))
        };
        self.ended(run)
    }

    /// The result if the case is the reason why the target was lost.
    fn result_of_loss(&self, loss: &Loss) -> CaseResult {
        let observed = &self.observed;
        let direction = self.job.case.direction;
        self.ended(match loss.finding() {
            Some(finding) => Run::Ended {
                outcome: judge::read(direction, &observed.events, observed.evidence),
                findings: vec![finding],
            },
            None => Run::Failed(loss.to_string()),
        })
    }

    /// The result with what was seen.
    fn ended(&self, run: Run) -> CaseResult {
        let events = self.observed.events.clone();
        let further = self.observed.further.clone();
        let queries = self.questions();
        let total = self.began.elapsed();
        let established = match &run {
            Run::Ended { outcome, .. } => matches!(outcome, Outcome::Established(_)),
            Run::Unsupported(_) | Run::Failed(_) | Run::NotRun(_) => false,
        };
        CaseResult {
            one_way: established && self.script.by_oracle() && !self.observed.evidence.answered,
            timings: timing::timings(self.job.case.direction, &events, total),
            wire: transcript::wire_of_all(&events, &further, &queries),
            events,
            further,
            queries,
            beside: self.beside(),
            ..self.job.result(run)
        }
    }

    /// What happened beside the connections of partners.
    fn beside(&self) -> Beside {
        let since = |moment: Instant| moment.saturating_duration_since(self.began);
        let starts = self.partners.iter().map(|one| {
            let name = one.role.name.to_string();
            (name, since(one.partner.started()))
        });
        let records = self.bench.lab.dns.records();
        let domains = self.domains_of_queries();
        let queries = domains.iter().flat_map(|one| records.moments_below(one));
        let mut asked: Vec<_> = queries
            .filter(|(at, ..)| *at >= self.began)
            .map(|(at, name, query)| (since(at), format!("{} {name}", query.kind)))
            .collect();
        asked.sort();
        // Which of two ways is first is chance; the times tell.
        let mut inner = self.observed.inner.clone();
        inner.sort_by_key(|one| one.came_out);
        Beside {
            starts: starts.collect(),
            inner,
            asked,
        }
    }

    /// What was asked of DNS, if the scenario looks at it.
    fn questions(&self) -> Vec<String> {
        let asks = |expect: &Expect| expect.sees == Sees::Query;
        if !self.script.expect.iter().any(asks) {
            return Vec::new();
        }
        let queries = self.observed.observations.iter();
        let queries = queries.filter(|observation| observation.sees == Sees::Query);
        let asked = queries.map(|query| ["kind", "name"].map(|fact| query.attribute(fact)));
        in_order(
            asked
                .map(|asked| asked.map(Option::unwrap_or_default))
                .collect(),
        )
    }

    /// The outcome and its findings.
    fn judge(&self, health: Option<Ailment>) -> (Outcome, Vec<Finding>) {
        let case = &self.job.case;
        let profile = self.bench.profile;
        let observed = &self.observed;
        let undecided = self.undecided();
        let cut = self.end == End::Cut;
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
                ended_by_partner: &judge::ended_by_partner(case.direction, &observed.events),
                undecided: undecided.as_deref(),
                cut,
            }),
            None => against_script(&ScriptCase {
                script: self.script,
                requirements: case.requirements(),
                observations: &observed.observations,
                outcome: &outcome,
                health,
                fill: &self.fill(),
                undecided: undecided.as_deref(),
                is_open: &|expect| cut && !self.is_final(expect),
            }),
        };
        (outcome, findings)
    }

    /// Whether the case is about questions that the target does not ask of partners with a good certificate, so that
    /// nothing follows from what it found. Where the certificate is none of that domain, it has to ask.
    fn goes_by_certificates(&self, findings: &[Finding]) -> bool {
        let observations = &self.observed.observations;
        let takes_unasked = |role: &Role| {
            let is_good =
                role.certificate.is_none() && role.persona.offer.certificate == Certificate::Good;
            is_good && judge::takes_unasked(role, &self.names.of_role(role), observations)
        };
        let mut judged = findings.iter().filter(|one| one.weight > Weight::May);
        !self.script.by_oracle()
            && judge::heaviest(findings) > Some(Weight::May)
            && judged.all(|one| one.expectation.is_some() || one.sign == Sign::Ending)
            && judge::is_about_questions(self.script)
            && self.script.roles.iter().any(takes_unasked)
    }

    /// Expectations that a wrong target, or the control, would also satisfy.
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

/// What was asked, each with its kind and name. Of questions that a target asks side by side, for both kinds of
/// addresses or both services, chance decides which comes first.
fn in_order(mut asked: Vec<[&str; 2]>) -> Vec<String> {
    let domain = |name: &'_ str| {
        let services = ["_xmpp-server._tcp.", "_xmpps-server._tcp."];
        let domain = services
            .iter()
            .find_map(|service| name.strip_prefix(service));
        domain.unwrap_or(name).to_owned()
    };
    let side_by_side = |[one, name]: &[&str; 2], [other, next]: &[&str; 2]| {
        domain(name) == domain(next) && (*one == "SRV") == (*other == "SRV")
    };
    for together in asked.chunk_by_mut(side_by_side) {
        together.sort_by_key(|[kind, name]| [*name, *kind]);
    }
    asked.iter().map(|question| question.join(" ")).collect()
}

/// The result of a case whose configuration the target rejects.
pub(super) fn refused_by_configuration(job: &Job, why: &str) -> CaseResult {
    let outcome = Outcome::Refused(Refusal {
        phase: Phase::Config,
        closer: Closer::Target,
        signal: Signal::ConfigRefused(why.to_owned()),
    });
    let findings = match &job.allowed {
        Some(allowed) => against_oracle(&OracleCase {
            direction: job.case.direction,
            allowed,
            opinions: &[],
            outcome: &outcome,
            violations: &BTreeSet::new(),
            evidence: Evidence {
                bounced: Bounce::Seen,
                ..Evidence::default()
            },
            answer_due: false,
            ended_by_partner: &[],
            undecided: None,
            cut: false,
        }),
        None => against_script(&ScriptCase {
            script: &job.case.script,
            requirements: job.case.requirements(),
            observations: &[],
            outcome: &outcome,
            health: None,
            fill: &str::to_owned,
            undecided: None,
            is_open: &|_| false,
        }),
    };
    job.result(Run::Ended { outcome, findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_asked_side_by_side_have_one_order() {
        let server = ["SRV", "_xmpp-server._tcp.a.example"];
        let direct = ["SRV", "_xmpps-server._tcp.a.example"];
        let [four, six] = ["A", "AAAA"].map(|kind| [kind, "xmpp.a.example"]);
        let told = in_order(vec![server, direct, four, six]);
        assert_eq!(told[0], "SRV _xmpp-server._tcp.a.example");
        assert_eq!(told, in_order(vec![direct, server, six, four]));
        // One that follows from another stays behind it.
        let alias = ["A", "b.example"];
        let told = in_order(vec![["AAAA", "c.example"], alias]);
        assert_eq!(told, ["AAAA c.example", "A b.example"]);
    }
}
