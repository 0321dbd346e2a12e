//! Checks with partners of the lab: trust, names, and the way back.

use simulated_partners::event::{ConnectionKind, Method};
use simulated_partners::negotiate::sasl::offers_external;
use simulated_partners::probe::{Fault, ProbeReport};

use super::Subject;
use super::error::TrialError;
use super::finding::{Blame, Check, CheckResult, Diagnosis, Finding, Severity};
use super::stream::{trust_advice, words};
use super::trial_connection::TrialConnection;
use super::trials::Trials;
use crate::cause::with_causes;
use crate::lab::Lab;

/// All checks that need a partner; `trials` says why there is none. `trust` is what shows without one.
pub(super) fn checks(
    lab: &Lab,
    trust: CheckResult,
    reachable: bool,
    trials: &Result<Trials, TrialError>,
    diagnosis: &mut Diagnosis,
) {
    match trials {
        Ok(Trials { good, unknown, .. }) => {
            let trust = match trust {
                CheckResult::Fine { .. } => self::trust(good, unknown),
                other @ (CheckResult::Found { .. } | CheckResult::NotSeen { .. }) => other,
            };
            diagnosis.add(Check::Trust, trust);
            let dns = lab.dns.address().to_string();
            diagnosis.add(Check::LabDns, lab_dns(&dns, good));
            diagnosis.add(Check::WayBack, way_back(good));
        }
        Err(why) if reachable => {
            let advice = "give an address of this machine for the partners to listen on";
            let finding =
                Finding::new(Severity::Blocking, Blame::Harness, with_causes(why), advice);
            diagnosis.add(Check::Trust, finding.into());
        }
        Err(why) => {
            for check in [Check::Trust, Check::LabDns, Check::WayBack] {
                diagnosis.add(check, CheckResult::not_seen(with_causes(why)));
            }
        }
    }
}

/// What one trial connection shows about trust in the lab's authority.
pub(super) fn trust_in_sight(subject: &Subject, report: &ProbeReport) -> CheckResult {
    if !subject.methods().sasl_tls {
        return CheckResult::not_seen("the policy has no EXTERNAL: certificates do not matter");
    }
    let (Some(secured), Some(opened)) = (report.secured(), &report.over_tls) else {
        return CheckResult::not_seen("there is no TLS");
    };
    if !secured.asked_for_certificate {
        return CheckResult::not_seen("no client certificate is requested");
    }
    let blocking = |what: String| -> CheckResult {
        let blame = Blame::Configuration;
        Finding::new(Severity::Blocking, blame, what, trust_advice()).into()
    };
    match &opened.fault {
        Some(Fault::Tls(alert)) => blocking(format!(
            "the target ends TLS with a partner from the lab's authority (alert {alert})"
        )),
        Some(fault) => blocking(format!(
            "TLS comes up, and then the target turns a partner with a good certificate from \
             the lab's authority away: {}",
            words(fault)
        )),
        None if !opened.features.as_ref().is_some_and(offers_external) => Finding::new(
            Severity::Blocking,
            Blame::Configuration,
            "the target does not offer EXTERNAL to a good certificate from the lab's authority",
            format!(
                "{}; where it does that, is EXTERNAL on (Prosody: the module `saslauth`)?",
                trust_advice()
            ),
        )
        .into(),
        None => CheckResult::fine("EXTERNAL for the lab's authority"),
    }
}

/// Whether EXTERNAL works with the lab's authority and no other.
fn trust(good: &TrialConnection, unknown: &TrialConnection) -> CheckResult {
    let blocking = |what: String, advice: &str| -> CheckResult {
        Finding::new(Severity::Blocking, Blame::Configuration, what, advice).into()
    };
    if good.method() != Some(Method::SaslTls) {
        let refusal = good.refusal();
        let words = refusal.unwrap_or_else(|| good.way_in().to_string());
        return blocking(
            format!(
                "the target offers EXTERNAL, and then refuses a good certificate from the lab's \
                 authority: {words}"
            ),
            &format!(
                "{}; else its log should say what it dislikes in the certificate or the domain",
                trust_advice()
            ),
        );
    }
    if unknown.method() == Some(Method::SaslTls) {
        return Finding::new(
            Severity::Warning,
            Blame::Target,
            "the target accepts EXTERNAL with a certificate from an untrusted authority",
            "does the server check certificates at all? every domain can be forged like this",
        )
        .into();
    }
    CheckResult::fine("EXTERNAL for the lab's authority, and not for an unknown one")
}

/// Whether the target looks partners up in the lab's DNS.
fn lab_dns(dns: &str, good: &TrialConnection) -> CheckResult {
    if !good.queries.is_empty() {
        let mut asked: Vec<String> = Vec::new();
        for (name, query) in &good.queries {
            let short = name.strip_suffix(good.domain.as_str()).unwrap_or(name);
            let short = short.trim_end_matches('.');
            let text = format!("{} {short}", query.kind).trim_end().to_owned();
            if !asked.contains(&text) {
                asked.push(text);
            }
        }
        return CheckResult::fine(format!("{dns} was asked for {}", asked.join(", ")));
    }
    if good.dialled_back() {
        return Finding::new(
            Severity::Warning,
            Blame::Configuration,
            format!(
                "the target found {} without asking the lab's DNS at {dns}",
                good.domain
            ),
            "is there a hosts file or a fixed route? each case has a domain of its own, which \
             has to be looked up",
        )
        .into();
    }
    if !good.gave_reason() {
        return CheckResult::not_seen("no partner got far enough for the target to look it up");
    }
    Finding::new(
        Severity::Blocking,
        Blame::Configuration,
        format!(
            "the target did not ask the lab's DNS at {dns} for {}",
            good.domain
        ),
        format!(
            "let it resolve names there (Prosody: unbound = {{ resolvconf = false; forward = \
             {{ \"{}\" }} }}; ejabberd: ERL_INETRC and resolv.conf)",
            dns.replace(':', "@")
        ),
    )
    .into()
}

/// Whether the target connects to where DNS points, and is accepted.
fn way_back(good: &TrialConnection) -> CheckResult {
    if !good.dialled_back() {
        return not_dialled(good);
    }
    if let Some(alert) = good.alert(ConnectionKind::Outbound) {
        return Finding::new(
            Severity::Blocking,
            Blame::Configuration,
            format!(
                "the target dials the partner, but refuses its certificate from the lab's \
                 authority (alert {alert})"
            ),
            trust_advice(),
        )
        .into();
    }
    if good.answer.is_some() {
        return CheckResult::fine(format!("it dialled {} and answered", good.address));
    }
    let (what, advice) = if good.method().is_some() {
        (
            format!(
                "the target dialled the partner, but its answer to a question did not arrive: {}",
                good.way_out()
            ),
            "outbound cases show where it fails; its log should say why",
        )
    } else {
        (
            format!("the partner was not accepted: {}", good.way_in()),
            "is the partner's domain allowed? its log should say why",
        )
    };
    Finding::new(Severity::Warning, Blame::Target, what, advice).into()
}

fn not_dialled(good: &TrialConnection) -> CheckResult {
    if good.queries.is_empty() {
        return CheckResult::not_seen("the target did not look for the partner");
    }
    let host = format!("xmpp.{}", good.domain);
    let asked_address = good
        .queries
        .iter()
        .any(|(name, query)| *name == host && matches!(query.kind.as_str(), "A" | "AAAA"));
    if asked_address {
        return Finding::new(
            Severity::Blocking,
            Blame::Partner,
            format!(
                "the target knows from DNS that {host} is at {}, but does not connect there",
                good.address
            ),
            "can the target's machine reach that address? the partners have to listen where \
             it can",
        )
        .into();
    }
    Finding::new(
        Severity::Blocking,
        Blame::Configuration,
        format!(
            "the target asked the lab's DNS for the service of {}, but not for the address \
             of {host}",
            good.domain
        ),
        "it looks addresses up elsewhere (ejabberd does, through the system's resolv.conf \
         and hosts file): point that to the lab's DNS, too, or write `partner-hosts = \"digits\"` \
         into the target file",
    )
    .into()
}
