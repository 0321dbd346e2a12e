//! Compares the offered features with the policy (step 0 of the inbound rules).

use simulated_partners::negotiate::sasl::offers_external;
use simulated_partners::persona::{self, Tls};
use simulated_partners::probe::{ProbeReport, starttls_offer};

use super::Subject;
use super::finding::{Blame, CheckResult, Finding, Severity};
use crate::case::Direction;
use crate::oracle::inbound::Shown;
use crate::oracle::{Premises, Situation};
use crate::policy::PolicyNumber;
use crate::report::describe_policy;

const ADVICE: &str = "set the server to the policy, or correct the policy in the target file: \
                      every verdict is judged by it";

/// Compares both.
pub(super) fn policy(subject: &Subject, report: &ProbeReport) -> CheckResult {
    let Some(row) = subject.row else {
        return CheckResult::not_seen("no policy was given");
    };
    if !row.policy().valid() {
        return CheckResult::not_seen(format!(
            "{row} allows no method, so there is nothing to offer"
        ));
    }
    let (Some(clear), Some(expected)) = (&report.clear, expected(subject, row)) else {
        return CheckResult::not_seen("there is no stream");
    };
    if clear.fault.is_some() {
        return CheckResult::not_seen("there is no stream");
    }
    let mut findings = Vec::new();
    let mut tell = |severity, what: String| {
        let what = format!("{what}; {row} says {}", describe_policy(&row.policy()));
        findings.push(Finding::new(severity, Blame::Configuration, what, ADVICE));
    };
    let starttls = clear.features.as_ref().and_then(starttls_offer);
    match (expected.starttls, starttls) {
        (Tls::None, Some(_)) => tell(Severity::Blocking, "STARTTLS is offered".to_owned()),
        (Tls::Required | Tls::Offered | Tls::Direct, None) => {
            tell(Severity::Blocking, "STARTTLS is not offered".to_owned());
        }
        (Tls::Required, Some(false)) => tell(
            Severity::Note,
            "STARTTLS is offered, but not marked as required".to_owned(),
        ),
        (Tls::Offered, Some(true)) => tell(
            Severity::Warning,
            "STARTTLS is required, not only offered".to_owned(),
        ),
        (Tls::None, None)
        | (Tls::Direct, _)
        | (Tls::Required, Some(true))
        | (Tls::Offered, Some(false)) => {}
    }
    if clear.features.as_ref().is_some_and(offers_external) {
        tell(
            Severity::Warning,
            "EXTERNAL is offered before TLS".to_owned(),
        );
    }
    if expected.dialback_in_clear && !clear.declares_dialback() && !clear.offers_dialback() {
        tell(
            Severity::Warning,
            "dialback is not advertised before TLS, neither as a namespace nor as a feature"
                .to_owned(),
        );
    }
    if let (Some(secured), Some(over_tls)) = (report.secured(), &report.over_tls)
        && over_tls.fault.is_none()
    {
        let external = over_tls.features.as_ref().is_some_and(offers_external);
        if expected.asks_for_certificate && !secured.asked_for_certificate {
            tell(
                Severity::Blocking,
                "no client certificate is requested, so EXTERNAL is impossible".to_owned(),
            );
        } else if external && !expected.external_over_tls {
            tell(Severity::Warning, "EXTERNAL is offered over TLS".to_owned());
        }
        let dialback = over_tls.declares_dialback() || over_tls.offers_dialback();
        if expected.dialback_over_tls && !dialback {
            tell(
                Severity::Warning,
                "dialback is not advertised over TLS".to_owned(),
            );
        }
        if !row.policy().dialback && over_tls.offers_dialback() {
            tell(
                Severity::Warning,
                "dialback is among the features over TLS".to_owned(),
            );
        }
    }
    CheckResult::of(findings, format!("what is offered fits {row}"))
}

/// What a partner with all methods and a good certificate must be offered.
fn expected(subject: &Subject, row: PolicyNumber) -> Option<Shown> {
    let modern = persona::find("modern")?;
    Some(Shown::to(&Premises::of(&Situation {
        policy: row.policy(),
        profile: subject.profile,
        direction: Direction::Inbound,
        partner: &modern.offer,
        facts: &modern.facts,
    })))
}
