//! The plaintext stream, and STARTTLS.

use simulated_partners::probe::{Fault, Opened, ProbeReport, starttls_offer};

use super::Subject;
use super::finding::{Blame, CheckResult, Finding, Severity};
use super::port::broken_words;

/// Checks header and features.
pub(super) fn stream(subject: &Subject, report: &ProbeReport) -> CheckResult {
    let Some(opened) = &report.clear else {
        return CheckResult::not_seen("there is no connection");
    };
    if let Some(fault) = &opened.fault {
        return no_stream(subject, opened, fault).into();
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
        Fault::Tls(_) => blocking(
            Blame::Configuration,
            format!("{address} speaks TLS at once, where a plaintext stream was expected"),
            "give the port for STARTTLS (5269 as a rule) as address, and this one as the port \
             for direct TLS"
                .to_owned(),
        ),
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
            "is it the port for servers (5269 as a rule), not for clients (5222)? \
             its log says more"
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
        Some(Err(broken)) => Finding::new(
            Severity::Blocking,
            Blame::Configuration,
            format!(
                "STARTTLS is offered, but TLS fails: {}",
                broken_words(broken)
            ),
            format!(
                "has the server a certificate and key for {}, and may it read both files?",
                subject.domain
            ),
        )
        .into(),
    }
}

/// The remedy if the lab's authority is not trusted.
pub(super) fn trust_advice() -> &'static str {
    "let the server trust the lab's authority in both directions (Prosody: cafile in s2s_ssl; \
     ejabberd: ca_file) and load it anew"
}
