//! Compares the target's clock with ours, as far as it is visible.

use std::time::Duration;

use simulated_partners::event::Method;
use simulated_partners::pki::{CertificateSpec, Intermediate, Offset};
use simulated_partners::probe::{self, ProbeReport};
use simulated_partners::tls::Details;
use simulated_partners::wire::Element;

use super::Subject;
use super::certificate::span;
use super::finding::{Blame, CheckResult, Finding, Severity};
use super::partner::trust_in_sight;
use super::trial_connection::{NS_TIME, TrialConnection};
use crate::lab::Lab;

const MINUTE: i64 = 60;
/// How long before the lab's own time its certificates become valid.
const BEHIND: i64 = 86_400;
/// How long after it they expire.
const AHEAD: i64 = 365 * 86_400;

const ADVICE: &str = "set both clocks (NTP); they decide whether certificates are valid";
/// In days: a certificate for whoever lives within a quarter of a century.
const LONG: i32 = 9_000;
/// In days: as long as the lab's authority.
const LATE: i32 = 3_600;

/// How a clock is wrong by more than certificates bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skew {
    /// By more than a year.
    Ahead,
    /// By more than a day.
    Behind,
}

/// Tells a wrong clock from a want of trust: where a certificate of today is not taken, is one that has been
/// valid for long, or will be?
pub(super) async fn skew(
    subject: &Subject,
    lab: &Lab,
    report: &ProbeReport,
    patience: Duration,
) -> Option<Skew> {
    if !trust_in_sight(subject, report).blocks() {
        return None;
    }
    let since_long = CertificateSpec {
        not_before: Some(Offset::days(-LONG)),
        intermediate: Intermediate {
            not_before: Some(Offset::days(-LONG)),
            ..Intermediate::default()
        },
        ..CertificateSpec::default()
    };
    let for_long = CertificateSpec {
        not_after: Some(Offset::days(LATE)),
        ..CertificateSpec::default()
    };
    let mut taken = [false; 2];
    for (taken, spec) in taken.iter_mut().zip([since_long, for_long]) {
        let domain = &subject.partners[0];
        let spec = CertificateSpec {
            domains: Some(vec![domain.clone()]),
            ..spec
        };
        let mut look = super::look(subject, lab, subject.address, false, patience);
        look.identity = Some(lab.authority.issue_from(&spec, &str::to_owned).ok()?);
        let report = probe::look(&look).await;
        *taken = matches!(trust_in_sight(subject, &report), CheckResult::Fine { .. });
    }
    match taken {
        [true, false] => Some(Skew::Behind),
        [false, true] => Some(Skew::Ahead),
        _ => None,
    }
}

/// What the target says of a certificate that is valid since yesterday and for a year. Its words are those of
/// OpenSSL as a rule.
pub(super) fn told_skew(good: &TrialConnection) -> Option<Skew> {
    if good.method() == Some(Method::SaslTls) {
        return None;
    }
    let refusal = good.refusal()?.to_lowercase();
    if refusal.contains("expired") {
        return Some(Skew::Ahead);
    }
    refusal.contains("not yet valid").then_some(Skew::Behind)
}

/// Compares the clocks.
pub(super) fn clock(
    details: Option<&Details>,
    good: Option<&TrialConnection>,
    skew: Option<Skew>,
) -> CheckResult {
    let told = good.and_then(|good| {
        let (answer, at) = good.answer.as_ref()?;
        Some((utc(answer)?, *at))
    });
    if let Some((theirs, ours)) = told {
        return compared(theirs, ours);
    }
    let blocking = |what: &str| -> CheckResult {
        let blame = Blame::Configuration;
        Finding::new(Severity::Blocking, blame, what, ADVICE).into()
    };
    match skew {
        Some(Skew::Ahead) => {
            return blocking(
                "the target's clock is more than a year ahead of this machine's: it takes a \
                 certificate for expired that is valid for a year from now",
            );
        }
        Some(Skew::Behind) => {
            return blocking(
                "the target's clock is more than a day behind this machine's: it takes a \
                 certificate for not valid yet that has been valid since yesterday",
            );
        }
        None => {}
    }
    let Some(good) = good else {
        return CheckResult::not_seen("no partner got an answer");
    };
    unseen(details, good)
}

fn compared(theirs: i64, ours: i64) -> CheckResult {
    let ahead = theirs - ours;
    let apart = ahead.abs();
    if apart <= MINUTE {
        return CheckResult::fine(format!("the target's clock agrees, within {}", span(apart)));
    }
    let unusable = !(-BEHIND..=AHEAD).contains(&ahead);
    let severity = if unusable {
        Severity::Blocking
    } else {
        Severity::Warning
    };
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!(
        "the target's clock is {} {side} this machine's",
        span(apart)
    );
    let what = match (unusable, ahead > 0) {
        (true, true) => format!("{what}: it takes the lab's certificates for expired"),
        (true, false) => format!("{what}: it takes the lab's certificates for not valid yet"),
        (false, _) => what,
    };
    Finding::new(severity, Blame::Configuration, what, ADVICE).into()
}

/// If the time cannot be queried, trust in a certificate still says something.
fn unseen(details: Option<&Details>, good: &TrialConnection) -> CheckResult {
    let silent = match &good.answer {
        Some((answer, _)) => match answer.attribute("type") {
            Some("error") => "the target refuses to tell the time (XEP-0202)",
            _ => "the target's answer holds no time (XEP-0202)",
        },
        None => "the target gave no answer (XEP-0202)",
    };
    if good.method() == Some(Method::SaslTls) {
        return CheckResult::not_seen(format!(
            "{silent}; it takes a certificate that is valid since yesterday and for a year, \
             so that it cannot be wrong by more"
        ));
    }
    match details {
        Some(details) if details.not_before > Details::now() => CheckResult::not_seen(format!(
            "{silent}; its certificate begins in the future, so that one of the two clocks \
             may be wrong"
        )),
        _ => CheckResult::not_seen(silent),
    }
}

fn utc(answer: &Element) -> Option<i64> {
    let time = answer.find(NS_TIME, "time")?;
    date_time(time.find(NS_TIME, "utc")?.content().trim())
}

/// Parses `2026-01-31T12:00:00Z`, ignoring fractions (XEP-0082 §3.2).
fn date_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let number = |text: &str| -> Option<i64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits && text.len() <= 4)
    };
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && date.next().is_none()
        && time.next().is_none();
    valid.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 in the Gregorian calendar, with years that start in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use simulated_partners::event::ConnectionKind;
    use simulated_partners::wire::NS_SERVER;

    use super::*;
    use crate::transcript::script::Script;

    const NOW: i64 = 1_790_000_000;

    fn told(utc: &str) -> TrialConnection {
        let time = Element::new(NS_TIME, "time")
            .child(Element::new(NS_TIME, "tzo").text("+00:00"))
            .child(Element::new(NS_TIME, "utc").text(utc));
        let answer = Element::new(NS_SERVER, "iq")
            .attr("type", "result")
            .child(time);
        TrialConnection {
            domain: "good.example".to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
            events: Vec::new(),
            queries: Vec::new(),
            answer: Some((answer, NOW)),
        }
    }

    fn severity(utc: &str) -> Option<Severity> {
        let result = clock(None, Some(&told(utc)), None);
        result.findings().first().map(|finding| finding.severity)
    }

    #[test]
    fn dates_are_read_as_the_standard_has_them() {
        assert_eq!(date_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(date_time("2026-09-21T14:13:20Z"), Some(NOW));
        assert_eq!(date_time("2000-02-29T00:00:01.25Z"), Some(951_782_401));
        for wrong in [
            "",
            "Z",
            "2026-09-21",
            "2026-13-01T00:00:00Z",
            "2026-09-21T14:13:20",
        ] {
            assert_eq!(date_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_is_wrong_when_the_labs_certificates_are_out_of_date_to_it() {
        assert_eq!(severity("2026-09-21T14:13:00Z"), None);
        assert_eq!(severity("2026-09-21T13:00:00Z"), Some(Severity::Warning));
        assert_eq!(severity("2026-10-21T13:00:00Z"), Some(Severity::Warning));
        assert_eq!(severity("2026-09-19T13:00:00Z"), Some(Severity::Blocking));
        assert_eq!(severity("2028-09-21T13:00:00Z"), Some(Severity::Blocking));
    }

    #[test]
    fn what_certificates_show_counts_where_the_time_is_not_told() {
        for (skew, words) in [
            (Skew::Ahead, "a year ahead"),
            (Skew::Behind, "a day behind"),
        ] {
            let result = clock(None, None, Some(skew));
            assert!(result.blocks(), "{result:?}");
            assert!(result.findings()[0].what.contains(words), "{result:?}");
            let told = told("2026-09-21T14:13:00Z");
            assert!(!clock(None, Some(&told), Some(skew)).blocks());
        }
    }

    #[test]
    fn what_the_target_says_of_a_good_certificate_tells_its_clock() {
        const STREAM: &str = "<stream:stream xmlns='jabber:server' \
            xmlns:stream='http://etherx.jabber.org/streams'>";
        let refused = |text: &str| {
            let failure = format!(
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
                 <text>{text}</text></failure>"
            );
            let events = Script::new()
                .open(1, ConnectionKind::Inbound)
                .target(1, STREAM)
                .target(1, &failure);
            TrialConnection {
                events: events.events(),
                answer: None,
                ..told("soon")
            }
        };
        for (text, skew) in [
            ("certificate has expired", Some(Skew::Ahead)),
            ("certificate is not yet valid", Some(Skew::Behind)),
            ("unable to get local issuer certificate", None),
        ] {
            let trial = refused(text);
            assert_eq!(told_skew(&trial), skew, "{text}");
            assert_eq!(trial.refusal(), Some(format!("not-authorized ({text})")));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_said_to_be_unseen() {
        for trial in [None, Some(told("soon"))] {
            let result = clock(None, trial.as_ref(), None);
            assert!(matches!(result, CheckResult::NotSeen { .. }), "{result:?}");
        }
    }
}
