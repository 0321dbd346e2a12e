//! Checks the target's certificate.

use simulated_partners::probe::ProbeReport;
use simulated_partners::tls::{Details, Name, Usage};

use super::Subject;
use super::finding::{Blame, Check, CheckResult, Diagnosis, Finding, Severity};

const DAY: i64 = 86_400;
/// A certificate that expires within this time is reported.
const SOON: i64 = 14 * DAY;
/// Many servers refuse shorter keys (RFC 7590 §3.4, NIST SP 800-57).
const SHORT_RSA: usize = 2048;
/// The maximum number of names listed.
const NAMES: usize = 4;

/// All checks of a certificate.
pub(super) fn checks(
    subject: &Subject,
    report: &ProbeReport,
    details: Option<&Details>,
    diagnosis: &mut Diagnosis,
) {
    let all = [
        Check::Chain,
        Check::Dates,
        Check::Names,
        Check::Usage,
        Check::Key,
    ];
    let Some(secured) = report.secured() else {
        for check in all {
            diagnosis.add(check, CheckResult::not_seen("there is no TLS"));
        }
        return;
    };
    let Some(details) = details else {
        let what = if secured.chain.is_empty() {
            "the target shows no certificate"
        } else {
            "the target's certificate cannot be read"
        };
        let advice = "give the server a certificate for its domain";
        diagnosis.add(
            Check::Chain,
            Finding::new(severity(subject), Blame::Configuration, what, advice).into(),
        );
        for check in &all[1..] {
            diagnosis.add(*check, CheckResult::not_seen("there is no certificate"));
        }
        return;
    };
    diagnosis.add(Check::Chain, chain(subject, details, secured.chain.len()));
    diagnosis.add(Check::Dates, dates(subject, details, Details::now()));
    diagnosis.add(Check::Names, names(subject, details));
    diagnosis.add(Check::Usage, usage(subject, details));
    diagnosis.add(Check::Key, key(details));
}

/// Partners offer EXTERNAL only to a peer with a valid certificate. If the policy has no EXTERNAL,
/// the certificate does not matter.
fn severity(subject: &Subject) -> Severity {
    if subject.methods().sasl_tls {
        Severity::Blocking
    } else {
        Severity::Warning
    }
}

fn chain(subject: &Subject, details: &Details, shown: usize) -> CheckResult {
    let Some(fault) = details.chain_fault.as_deref() else {
        let certificates = match shown {
            1 => "1 certificate".to_owned(),
            shown => format!("{shown} certificates"),
        };
        return CheckResult::fine(format!("{certificates} from {}", details.issuer));
    };
    let (what, advice) = broken_chain(subject, details, fault, shown);
    Finding::new(severity(subject), Blame::Configuration, what, advice).into()
}

/// What is wrong with a chain, and what to do about it.
fn broken_chain(
    subject: &Subject,
    details: &Details,
    fault: &str,
    shown: usize,
) -> (String, String) {
    let domain = &subject.domain;
    let issued =
        format!("`s2spec cert {domain} --target FILE` issues one from the lab's authority");
    let issuer = &details.chain_issuer;
    let own = "the target's certificate";
    if let Some(stale) = &details.stale_issuer {
        return (
            format!("an intermediate certificate is out of date: {stale}"),
            "renew it, and put the new one into the server's certificate file".to_owned(),
        );
    }
    match fault {
        "self-signed" => (format!("{own} is self-signed"), issued),
        "X.509 version 1" => (
            format!("{own} is of X.509 version 1, which has no names of servers"),
            format!("{issued}; openssl makes version 3 where extensions are given (`-extfile`)"),
        ),
        "an authority's own" => (
            format!("{own} is that of an authority (CA:TRUE), not of a server"),
            issued,
        ),
        "unknown issuer" | "wrong signature in the chain" if details.known_by_name => (
            format!(
                "{own} is from another authority of the same name, {issuer}: ca.crt was made \
                 again since"
            ),
            format!("issue it again: `s2spec cert {domain} --target FILE`"),
        ),
        "unknown issuer" => (
            format!(
                "{own} does not lead to an authority that the partners trust: {issuer} issued \
                 the last of {shown} shown"
            ),
            format!(
                "if {issuer} is an intermediate authority, add its certificate to the server's \
                 certificate file; else {issued}, and `server` in [ca] of the target file names \
                 another root"
            ),
        ),
        fault => (
            format!("the chain of {own} is broken: {fault}"),
            "renew the certificate, with all intermediate ones in its file".to_owned(),
        ),
    }
}

fn dates(subject: &Subject, details: &Details, now: i64) -> CheckResult {
    let [from, until] = &details.dates;
    let advice = "renew it and reload the server; or is a clock wrong?";
    if now > details.not_after {
        return Finding::new(
            severity(subject),
            Blame::Configuration,
            format!(
                "the target's certificate expired on {until}, {} ago",
                span(now - details.not_after)
            ),
            advice,
        )
        .into();
    }
    if now < details.not_before {
        return Finding::new(
            severity(subject),
            Blame::Configuration,
            format!(
                "the target's certificate is valid from {from} on, in {}",
                span(details.not_before - now)
            ),
            advice,
        )
        .into();
    }
    if details.not_after - now < SOON {
        return Finding::new(
            Severity::Note,
            Blame::Configuration,
            format!(
                "the target's certificate expires on {until}, in {}",
                span(details.not_after - now)
            ),
            "renew it in time",
        )
        .into();
    }
    CheckResult::fine(format!("valid until {until}"))
}

/// Days if there are any, else hours and minutes.
pub(super) fn span(seconds: i64) -> String {
    let (value, unit) = match seconds {
        s if s >= 2 * DAY => (s / DAY, "day"),
        s if s >= 7200 => (s / 3600, "hour"),
        s if s >= 120 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{value} {unit}{}", if value == 1 { "" } else { "s" })
}

fn names(subject: &Subject, details: &Details) -> CheckResult {
    let listed = listed(&details.names);
    if details.covers(&subject.domain) {
        return CheckResult::fine(listed);
    }
    let what = if details.names.is_empty() {
        format!(
            "the target's certificate has no server name ({}); a common name does not count",
            details.subject
        )
    } else {
        format!(
            "the target's certificate is for {listed}, not for {}",
            subject.domain
        )
    };
    Finding::new(
        severity(subject),
        Blame::Configuration,
        what,
        format!(
            "issue it with {0} as dNSName, as SRVName _xmpp-server.{0} or as id-on-xmppAddr \
             (RFC 6120 §13.7.1)",
            subject.domain
        ),
    )
    .into()
}

fn listed(names: &[Name]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(NAMES)
        .map(|name| match name {
            Name::Dns(name) => format!("{name} (DNS)"),
            Name::Srv(name) => format!("{name} (SRV)"),
            Name::Xmpp(name) => format!("{name} (xmppAddr)"),
        })
        .collect();
    if names.len() > NAMES {
        shown.push(format!("{} more", names.len() - NAMES));
    }
    shown.join(", ")
}

fn usage(subject: &Subject, details: &Details) -> CheckResult {
    let (server, client) = match details.usage {
        Usage::Any => return CheckResult::fine("any"),
        Usage::Only { server, client } => (server, client),
    };
    match (server, client) {
        (true, true) => CheckResult::fine("serverAuth, clientAuth"),
        (true, false) => Finding::new(
            Severity::Note,
            Blame::Configuration,
            "the target's certificate is for servers only (no clientAuth)",
            "partners here take it for EXTERNAL all the same; some servers do not (RFC 5280 \
             §4.2.1.12)",
        )
        .into(),
        (false, _) => Finding::new(
            severity(subject),
            Blame::Configuration,
            "the target's certificate is not for servers (no serverAuth)",
            "issue it with both extended key usages, serverAuth and clientAuth",
        )
        .into(),
    }
}

fn key(details: &Details) -> CheckResult {
    let text = if details.key_bits == 0 {
        details.key.to_owned()
    } else {
        format!("{}, {} bits", details.key, details.key_bits)
    };
    if details.key == "RSA" && details.key_bits < SHORT_RSA {
        return Finding::new(
            Severity::Warning,
            Blame::Configuration,
            format!("the key of the target's certificate is short: {text}"),
            "use RSA of 2048 bits at least, or ECDSA on P-256",
        )
        .into();
    }
    CheckResult::fine(text)
}

#[cfg(test)]
mod tests {
    use simulated_partners::persona::{Certificate, Key};
    use simulated_partners::pki::Authority;

    use super::super::tests::subject;
    use super::*;

    fn details(kind: Certificate) -> Details {
        let authority = Authority::new(5);
        let identity = authority
            .issue(&["im.example"], kind, Key::P256)
            .expect("a certificate");
        Details::read(identity.chain(), &authority.roots()).expect("readable")
    }

    fn first(result: &CheckResult) -> Option<(Severity, &str)> {
        let finding = result.findings().first()?;
        Some((finding.severity, finding.what.as_str()))
    }

    #[test]
    fn an_expired_certificate_is_reported_with_its_date_and_a_valid_one_passes() {
        let expired = details(Certificate::Expired);
        let result = dates(&subject(7), &expired, Details::now());
        let (severity, what) = first(&result).expect("a finding");
        assert_eq!(severity, Severity::Blocking);
        assert!(
            what.contains(&expired.dates[1]) && what.ends_with("30 days ago"),
            "{what}"
        );
        // Dialback alone ignores certificates.
        let (severity, _) = first(&dates(&subject(13), &expired, Details::now()))
            .map(|(severity, what)| (severity, what.to_owned()))
            .expect("a finding");
        assert_eq!(severity, Severity::Warning);
        let good = details(Certificate::Good);
        assert_eq!(first(&dates(&subject(7), &good, Details::now())), None);
    }

    #[test]
    fn one_that_starts_later_or_expires_soon_is_reported() {
        let good = details(Certificate::Good);
        let early = dates(&subject(7), &good, good.not_before - 3 * DAY);
        let (severity, what) = first(&early).expect("a finding");
        assert_eq!(severity, Severity::Blocking);
        assert!(what.ends_with("in 3 days"), "{what}");
        let late = dates(&subject(7), &good, good.not_after - 5 * 3600);
        let (severity, what) = first(&late).expect("a finding");
        assert_eq!(severity, Severity::Note);
        assert!(what.ends_with("in 5 hours"), "{what}");
    }

    #[test]
    fn names_have_to_cover_the_domain() {
        assert_eq!(
            first(&names(&subject(7), &details(Certificate::Good))),
            None
        );
        let wrong = names(&subject(7), &details(Certificate::WrongName));
        let (severity, what) = first(&wrong).expect("a finding");
        assert_eq!(severity, Severity::Blocking);
        assert!(what.contains("somebody-else.example (DNS)"), "{what}");
        assert!(what.ends_with("not for im.example"), "{what}");
    }

    #[test]
    fn a_chain_has_to_lead_to_an_authority_that_is_known() {
        assert_eq!(
            first(&chain(&subject(7), &details(Certificate::Good), 2)),
            None
        );
        for (kind, word) in [
            (Certificate::UnknownCa, "does not lead to"),
            (Certificate::SelfSigned, "self-signed"),
            (Certificate::MissingIntermediate, "lab intermediate issued"),
        ] {
            let result = chain(&subject(7), &details(kind), 1);
            let (_, what) = first(&result).expect("a finding");
            assert!(what.contains(word), "{kind:?}: {what}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_chain_is_said_in_words() {
        for (fault, known_by_name, stale, words) in [
            ("X.509 version 1", false, None, "is of X.509 version 1"),
            (
                "an authority's own",
                false,
                None,
                "(CA:TRUE), not of a server",
            ),
            (
                "unknown issuer",
                true,
                None,
                "another authority of the same name",
            ),
            (
                "wrong signature in the chain",
                true,
                None,
                "another authority of the same name",
            ),
            (
                "expired",
                true,
                Some("CN=x expired on 1 Jan"),
                "out of date: CN=x expired",
            ),
            ("revoked", true, None, "is broken: revoked"),
        ] {
            let details = Details {
                chain_fault: Some(fault.to_owned()),
                known_by_name,
                stale_issuer: stale.map(str::to_owned),
                ..details(Certificate::Good)
            };
            let result = chain(&subject(7), &details, 2);
            let (severity, what) = first(&result).expect("a finding");
            assert_eq!(severity, Severity::Blocking);
            assert!(what.contains(words), "{fault}: {what}");
        }
    }

    #[test]
    fn purpose_and_key_are_checked() {
        assert_eq!(
            first(&usage(&subject(7), &details(Certificate::Good))),
            None
        );
        let result = usage(&subject(7), &details(Certificate::NoClientAuth));
        assert_eq!(
            first(&result).map(|(severity, _)| severity),
            Some(Severity::Note)
        );
        let client_only = Details {
            usage: Usage::Only {
                server: false,
                client: true,
            },
            ..details(Certificate::Good)
        };
        let result = usage(&subject(7), &client_only);
        assert_eq!(
            first(&result).map(|(severity, _)| severity),
            Some(Severity::Blocking)
        );
        assert_eq!(first(&key(&details(Certificate::Good))), None);
        let short = Details {
            key: "RSA",
            key_bits: 1024,
            ..details(Certificate::Good)
        };
        assert_eq!(
            first(&key(&short)).map(|(severity, _)| severity),
            Some(Severity::Warning)
        );
    }
}
