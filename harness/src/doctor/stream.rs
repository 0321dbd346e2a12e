//! The plaintext stream, and STARTTLS.

use std::time::Duration;

use simulated_partners::event::{Party, TlsSignal};
use simulated_partners::probe::{self, Broken, Fault, Opened, ProbeReport, starttls_offer};

use super::Subject;
use super::finding::{Blame, CheckResult, Finding, Severity};
use super::port::broken_words;
use super::trial_connection::TrialConnection;
use super::trials::Trials;
use crate::lab::Lab;
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};

/// Checks header and features, and whether they also come where several partners are there at a time.
pub(super) async fn stream(
    subject: &Subject,
    lab: &Lab,
    report: &ProbeReport,
    trials: Option<&Trials>,
    patience: Duration,
) -> CheckResult {
    let Some(opened) = &report.clear else {
        return CheckResult::not_seen("there is no connection");
    };
    if let Some(others) = purpose(opened) {
        return foreign(subject, others).into();
    }
    if let Some(fault) = &opened.fault {
        if matches!(fault, Fault::Silence | Fault::Closed | Fault::Reset) && opened.header.is_none()
        {
            let direct = super::look(subject, lab, subject.address, true, patience);
            if probe::look(&direct).await.secured().is_some() {
                return direct_tls(subject).into();
            }
        }
        return no_stream(subject, opened, fault).into();
    }
    if let Some(finding) = trials.and_then(|trials| company(subject, trials)) {
        return finding.into();
    }
    let Some(header) = &opened.header else {
        return CheckResult::not_seen("there is no header");
    };
    let mut findings = Vec::new();
    let mut tell = |what: String, advice: &str| {
        findings.push(Finding::new(Severity::Warning, Blame::Target, what, advice));
    };
    match header.attribute("from") {
        Some(from) if from.eq_ignore_ascii_case(&subject.domain) => {}
        Some(from) => tell(
            format!("the stream for {} comes from '{from}'", subject.domain),
            "correct the domain in the target file, or the virtual host in the server",
        ),
        None => tell(
            "the stream header has no 'from' (RFC 6120 §4.7.1)".to_owned(),
            "the server should name the domain that it answers for",
        ),
    }
    if header.attribute("id").is_none_or(str::is_empty) {
        tell(
            "the stream header has no 'id' (RFC 6120 §4.7.3)".to_owned(),
            "dialback needs one: its keys are made from it",
        );
    }
    if header.attribute("version").is_none() {
        tell(
            "the stream header has no 'version': a server from before XMPP 1.0".to_owned(),
            "without features there is neither TLS nor SASL; only plaintext dialback is left",
        );
    }
    let features = opened.features.as_ref().map_or_else(
        || "none".to_owned(),
        |features| {
            let names: Vec<String> = features
                .elements()
                .map(|feature| match starttls_offer(features) {
                    Some(true) if feature.name == "starttls" => "starttls required".to_owned(),
                    _ => feature.name.clone(),
                })
                .collect();
            if names.is_empty() {
                "empty".to_owned()
            } else {
                names.join(", ")
            }
        },
    );
    CheckResult::of(
        findings,
        format!("header with id, from, version; features: {features}"),
    )
}

/// What is wrong where a stream opened while nobody else was there, and does not beside others, or for another
/// domain.
fn company(subject: &Subject, trials: &Trials) -> Option<Finding> {
    let Trials {
        good,
        unknown,
        bare,
    } = trials;
    let all = [Some(good), Some(unknown), bare.as_ref()];
    let is_cut = |refusal: &Refusal| {
        matches!(
            refusal.signal,
            Signal::Fin | Signal::Reset | Signal::NoConnection
        ) || refusal.signal == Signal::StreamError("resource-constraint".to_owned())
    };
    let blocking = |what: String, advice: &str| {
        Finding::new(Severity::Blocking, Blame::Configuration, what, advice)
    };
    for trial in all.into_iter().flatten() {
        let Some(refusal) = at_once(trial) else {
            continue;
        };
        let domain = &trial.domain;
        if is_cut(&refusal) {
            return Some(blocking(
                format!(
                    "one connection works, and another beside it is turned away: {refusal} \
                     (of {domain})"
                ),
                "let it take many connections at a time from one address: a run opens dozens",
            ));
        }
        if *domain != subject.partners[0] {
            return Some(blocking(
                format!(
                    "the target takes {}, but not {domain}: {refusal}",
                    subject.partners[0]
                ),
                "add the domain to the server's allow list: it has to have all of \
                 `partner-domains` (`s2spec list --domains` prints what a run takes)",
            ));
        }
    }
    None
}

/// How the target refused a partner for its domain or its company alone: before it knew more, or before it
/// looked whether a key is good.
fn at_once(trial: &TrialConnection) -> Option<Refusal> {
    let Outcome::Refused(refusal) = trial.way_in() else {
        return None;
    };
    let is_early = match (refusal.phase, &refusal.signal) {
        (Phase::Connect | Phase::Stream, _) => true,
        (Phase::Dialback, Signal::DialbackError(condition)) => {
            trial.queries.is_empty()
                && ["forbidden", "not-allowed", "policy-violation"].contains(&condition.as_str())
        }
        _ => false,
    };
    (is_early && refusal.closer == Closer::Target).then_some(refusal)
}

fn direct_tls(subject: &Subject) -> Finding {
    let address = subject.address;
    Finding::new(
        Severity::Blocking,
        Blame::Configuration,
        format!("{address} is a port for direct TLS, where one for STARTTLS is wanted"),
        format!(
            "give the port for STARTTLS (5269 as a rule) as `address`, and this one as \
             `direct-tls = \"{address}\"`"
        ),
    )
}

/// What a port is for, by the namespace of its streams (RFC 6120 §4.8.2, XEP-0114 §3).
fn purpose(opened: &Opened) -> Option<&'static str> {
    let declarations = &opened.header.as_ref()?.declarations;
    let (_, content) = declarations.iter().find(|(prefix, _)| prefix.is_none())?;
    match content.as_str() {
        "jabber:client" => Some("clients"),
        "jabber:component:accept" | "jabber:component:connect" => Some("components"),
        _ => None,
    }
}

fn foreign(subject: &Subject, others: &str) -> Finding {
    Finding::new(
        Severity::Blocking,
        Blame::Configuration,
        format!(
            "{} is the port for {others}, not for servers",
            subject.address
        ),
        "give the port for servers (5269 as a rule) as `address` in the target file",
    )
}

fn no_stream(subject: &Subject, opened: &Opened, fault: &Fault) -> Finding {
    let blocking =
        |blame, what: String, advice: String| Finding::new(Severity::Blocking, blame, what, advice);
    let (address, domain) = (subject.address, &subject.domain);
    if opened.header.is_some() && !matches!(fault, Fault::Error { .. }) {
        return blocking(
            Blame::Target,
            format!(
                "{address} sends a stream header, but no features: {}",
                words(fault)
            ),
            "RFC 6120 §4.3.2 wants features after a header with version 1.0; look at its log"
                .to_owned(),
        );
    }
    match fault {
        Fault::Error { condition, .. }
            if matches!(condition.as_str(), "host-unknown" | "host-gone") =>
        {
            blocking(
                Blame::Configuration,
                format!(
                    "{address} does not serve the domain {domain}: {}",
                    words(fault)
                ),
                format!(
                    "correct the domain in the target file, or make {domain} a virtual host \
                     of the server"
                ),
            )
        }
        Fault::Error { .. } => blocking(
            Blame::Configuration,
            format!(
                "{address} refuses the stream of {} for {domain}: {}",
                subject.partners[0],
                words(fault)
            ),
            "are servers allowed to connect at all? If only some domains are, let \
             `partner-domains` in the target file name them (`s2spec list --domains` prints what \
             a run takes); the server's log says more"
                .to_owned(),
        ),
        Fault::Tls(_) => direct_tls(subject),
        Fault::NotXmpp(_) => blocking(
            Blame::Configuration,
            format!("no XMPP server at {address}: {}", words(fault)),
            "correct the address in the target file".to_owned(),
        ),
        Fault::Silence => blocking(
            Blame::Target,
            format!("{address} accepts the connection, but does not answer the stream header"),
            "is it the port for servers, and is the server done with its start? A port for \
             direct TLS is silent like this, too"
                .to_owned(),
        ),
        Fault::Closed | Fault::Reset | Fault::End | Fault::Unexpected(_) => blocking(
            Blame::Target,
            format!(
                "{address} does not answer the stream header: {}",
                words(fault)
            ),
            "is it the port for servers (5269 as a rule), not for clients (5222), and does it take \
             connections as they are, without a header of the PROXY protocol? its log says more"
                .to_owned(),
        ),
    }
}

/// What came instead of a stream, in a clause.
pub(super) fn words(fault: &Fault) -> String {
    match fault {
        Fault::Silence => "nothing came in time".to_owned(),
        Fault::Closed => "it closed the connection".to_owned(),
        Fault::Reset => "it reset the connection".to_owned(),
        Fault::End => "it ended the stream".to_owned(),
        Fault::Error {
            condition,
            text: Some(text),
        } => format!("stream error {condition} ({text})"),
        Fault::Error {
            condition,
            text: None,
        } => format!("stream error {condition}"),
        Fault::Tls(what) => format!("TLS: {what}"),
        Fault::NotXmpp(text) => format!("it says '{text}'"),
        Fault::Unexpected(what) => what.clone(),
    }
}

/// Checks STARTTLS and its handshake.
pub(super) fn starttls(subject: &Subject, report: &ProbeReport) -> CheckResult {
    let tls = &report.tls;
    match tls {
        None if report.clear.as_ref().is_none_or(|o| o.fault.is_some()) => {
            CheckResult::not_seen("there is no stream")
        }
        None => CheckResult::not_seen("STARTTLS is not offered"),
        Some(Ok(secured)) => {
            let fault = report
                .over_tls
                .as_ref()
                .and_then(|opened| opened.fault.as_ref());
            match fault {
                // What a target answers to a peer with a certificate is a matter of trust.
                Some(fault) if !secured.asked_for_certificate => Finding::new(
                    Severity::Blocking,
                    Blame::Target,
                    format!("TLS works, but no stream opens: {}", words(fault)),
                    "the server's log should say why",
                )
                .into(),
                Some(_) | None => {
                    CheckResult::fine(format!("TLS {}, {}", secured.version, secured.suite))
                }
            }
        }
        Some(Err(broken)) => {
            let (more, advice) = match is_too_old(broken) {
                true => (
                    "the server has nothing newer than TLS 1.1: ",
                    "enable TLS 1.2 or 1.3 in the server (RFC 8996): partners here speak nothing \
                     older"
                        .to_owned(),
                ),
                false => (
                    "",
                    format!(
                        "has the server a certificate and key for {}, and may it read both files?",
                        subject.domain
                    ),
                ),
            };
            let what = format!(
                "STARTTLS is offered, but TLS fails: {more}{}",
                broken_words(broken)
            );
            Finding::new(Severity::Blocking, Blame::Configuration, what, advice).into()
        }
    }
}

/// Whether the two sides have no version of TLS in common.
fn is_too_old(broken: &Broken) -> bool {
    let Broken::Handshake(Party::Target | Party::Partner, TlsSignal::Alert(alert)) = broken else {
        return false;
    };
    alert == "protocol_version"
}

/// The remedy if the lab's authority is not trusted.
pub(super) fn trust_advice() -> &'static str {
    "let the server trust the lab's authority as ca.crt is now, in both directions (Prosody: cafile \
     in s2s_ssl; ejabberd: ca_file, s2s_cafile), and reload it"
}
