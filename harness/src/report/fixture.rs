//! Hand-made runs for tests of reports.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::event::Method;
use simulated_partners::persona::{self, Certificate, Persona, Tls};

use super::{Report, View};
use crate::baseline::BaselineCheck;
use crate::case::{Case, Direction, Script, Set, Setting};
use crate::console::{Charset, Rerun, Transcript};
use crate::expectation::{Allowed, End, Expectation, Reason};
use crate::finding::{Against, Finding, Sign, Step};
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};
use crate::policy::PolicyNumber;
use crate::record::{
    CaseResult, Control, ControlState, NotRun, Record, Repeated, Run, RunEvent, Timings,
};
use crate::transcript::{script, wire_summary};
use crate::verdict::{Verdict, Weight};

const BOTH: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

fn refusal(phase: Phase, closer: Closer, signal: Signal) -> Outcome {
    Outcome::Refused(Refusal {
        phase,
        closer,
        signal,
    })
}

fn expectation(end: End) -> Expectation {
    Expectation {
        rule: "out.4.no-tls",
        clause: "RFC 6120 §5.3.1",
        allowed: vec![Allowed { end, warn: None }],
    }
}

/// A case that passed.
pub(crate) fn passed(
    set: Set,
    row: PolicyNumber,
    partner: &Arc<Persona>,
    direction: Direction,
) -> Record {
    let word = set;
    let way = direction;
    let established = !(usize::from(row.number()) + partner.name.len()).is_multiple_of(3);
    let (end, outcome) = if established && row.policy().valid() {
        (
            End::Established(Method::SaslTls),
            Outcome::Established(Method::SaslTls),
        )
    } else {
        (
            End::Refused(Reason::NoTls),
            refusal(
                Phase::Stream,
                Closer::Target,
                Signal::StreamError("policy-violation".to_owned()),
            ),
        )
    };
    judged(CaseResult {
        allowed: Some(expectation(end)),
        timings: Timings {
            connect: Some(Duration::from_micros(120)),
            tls: Some(Duration::from_micros(900)),
            auth: Some(Duration::from_micros(210)),
            probe: None,
            delayed: false,
            total: Duration::from_micros(1500 + u64::from(row.number())),
        },
        wire: "T→P: T:header".to_owned(),
        ..CaseResult::not_run(
            Case {
                id: format!("{word}/{}/{}/{way}", row.label(), partner.name),
                set,
                row,
                partner: Arc::clone(partner),
                direction,
                script: Arc::new(Script::of_matrix(partner, direction, Setting::Usual)),
            },
            Run::Ended {
                outcome,
                findings: Vec::new(),
            },
        )
    })
}

/// A result with its verdict, for an unknown target.
pub(crate) fn judged(result: CaseResult) -> Record {
    BaselineCheck::none().judge(result)
}

/// The failure with findings that lead to this verdict.
pub(crate) fn showing(verdict: Verdict) -> CaseResult {
    let mut result = failed().result;
    let weight = match verdict {
        Verdict::Pass => None,
        Verdict::Warn => Some(Weight::Should),
        Verdict::Disputed => Some(Weight::Disputed),
        Verdict::Undecided => Some(Weight::Undecided),
        Verdict::Fail => Some(Weight::Must),
        Verdict::Unsupported => {
            result.run = Run::Unsupported("the target has no such setting".to_owned());
            return result;
        }
        Verdict::Error => {
            result.run = Run::Failed("the partner could not listen: address in use".to_owned());
            return result;
        }
        Verdict::NotRun => {
            result.run = Run::NotRun(NotRun::TargetGone("the server has ended".to_owned()));
            return result;
        }
        Verdict::Unstable => {
            result.repeated = Some(Repeated {
                runs: 5,
                ended_otherwise: 3,
                went_otherwise: 0,
                divergence: None,
                unstable: Some("3 of 5 repetitions ended differently".to_owned()),
            });
            None
        }
        Verdict::Xfail | Verdict::Xpass => panic!("only a baseline makes {verdict}"),
    };
    if let Run::Ended { findings, .. } = &mut result.run {
        *findings = Vec::from_iter(weight.map(|weight| Finding {
            weight,
            ..finding("as wanted for a test")
        }));
    }
    result
}

fn finding(text: &str) -> Finding {
    Finding {
        against: Against::Outcome,
        weight: Weight::Must,
        sign: Sign::Ending,
        step: Step::Stanza,
        text: text.to_owned(),
        connection: None,
        expectation: None,
        seen: true,
    }
}

/// A failure with a transcript.
pub(crate) fn failed() -> Record {
    let partner = Arc::new(persona::find("google-talk").unwrap());
    let row = PolicyNumber::new(7).unwrap();
    let record = passed(Set::Personas, row, &partner, Direction::Inbound);
    let mut result = record.result;
    result.allowed = Some(Expectation {
        rule: "in.2.gives-up",
        clause: "RFC 6120 §5.3.1",
        allowed: vec![
            Allowed {
                end: End::Refused(Reason::NoTls),
                warn: None,
            },
            Allowed {
                end: End::Refused(Reason::PeerGivesUp),
                warn: Some("the partner closes first"),
            },
        ],
    });
    result.run = Run::Ended {
        outcome: Outcome::Established(Method::TcpDialback),
        findings: vec![finding(
            "a stanza got through without TLS although the policy requires it",
        )],
    };
    result.control = Some(Control {
        id: "personas/row09/google-talk/inbound".to_owned(),
        state: ControlState::Accepted,
    });
    result.events = script::dialback_session("51d0", "abcdef0123456789", false);
    result.wire = wire_summary(&result.events);
    result.timings.total = Duration::from_millis(34);
    judged(result)
}

/// Events of a run of all personas with one result of each verdict.
pub(crate) fn run(interrupted: bool) -> Vec<RunEvent> {
    let mut records = Vec::new();
    for partner in persona::builtin() {
        let partner = Arc::new(partner);
        for row in PolicyNumber::all() {
            for direction in BOTH {
                records.push(passed(Set::Personas, row, &partner, direction));
            }
        }
    }
    let failed = failed();
    for record in &mut records {
        let verdict = match record.result.case.id.as_str() {
            "personas/row03/modern/outbound" => Verdict::Warn,
            "personas/row05/modern/inbound" => Verdict::Disputed,
            "personas/row08/tls12-only/inbound" => Verdict::Unstable,
            "personas/row09/tls12-only/inbound" => Verdict::Error,
            id if id.starts_with("personas/row16")
                || id.starts_with("personas/row15/google-talk") =>
            {
                Verdict::Unsupported
            }
            id if id == failed.result.case.id => {
                *record = failed.clone();
                continue;
            }
            _ => continue,
        };
        record.verdict = verdict;
        record.why = match verdict {
            Verdict::Warn => "dialback although EXTERNAL was possible",
            Verdict::Disputed => "allowed by the class table, not by the rule table",
            Verdict::Unstable => "3 of 5 repetitions ended differently",
            Verdict::Error => "the partner could not listen: address in use",
            _ => "the target has no such setting",
        }
        .to_owned();
        if matches!(verdict, Verdict::Unsupported | Verdict::Error) {
            record.result.run = showing(verdict).run;
        }
    }
    gather(records, interrupted)
}

/// Events of a run of the generated sets.
pub(crate) fn generated() -> Vec<RunEvent> {
    let mut records = Vec::new();
    let model = persona::find("modern").unwrap();
    for row in PolicyNumber::all() {
        for direction in BOTH {
            for other in PolicyNumber::all() {
                let mut partner = model.clone();
                partner.name = other.label();
                records.push(passed(Set::Policies, row, &Arc::new(partner), direction));
            }
            for tls in [Tls::None, Tls::Offered, Tls::Required] {
                for certificate in [Certificate::Good, Certificate::Expired, Certificate::None] {
                    for dialback in [true, false] {
                        let mut partner = model.clone();
                        partner.offer.tls = tls;
                        partner.offer.certificate = certificate;
                        partner.offer.dialback = dialback;
                        partner.name = format!(
                            "{}-{}-{}",
                            tls,
                            if dialback { "db" } else { "nodb" },
                            certificate
                        );
                        records.push(passed(Set::Offers, row, &Arc::new(partner), direction));
                    }
                }
            }
        }
    }
    gather(records, false)
}

/// Events of a run with these results, in any order.
pub(crate) fn gather(records: Vec<Record>, interrupted: bool) -> Vec<RunEvent> {
    let mut events = vec![RunEvent::Started {
        target: "reference 0.1.0".to_owned(),
        cases: records.len() + usize::from(interrupted) * 100,
        controls: 0,
        seed: 1,
    }];
    events.extend(
        records
            .into_iter()
            .rev()
            .map(|r| RunEvent::Finished(Box::new(r))),
    );
    if interrupted {
        events.push(RunEvent::Trouble("prosody could not be started".to_owned()));
    }
    events.push(RunEvent::Ended {
        elapsed: Duration::from_millis(1900),
        rounds: 1,
        interrupted,
    });
    events
}

pub(crate) fn report(events: Vec<RunEvent>) -> Report {
    let mut report = Report {
        rerun: Rerun {
            options: vec!["--target prosody".to_owned()],
        },
        ..Report::default()
    };
    for event in events {
        report.take(event);
    }
    report
}

pub(crate) fn view(width: usize, charset: Charset) -> View {
    View {
        width,
        charset,
        verbose: false,
        quiet: false,
        transcripts: false,
        transcript: Transcript::End,
        rerun: Rerun {
            options: vec!["--seed 7".to_owned()],
        },
    }
}
