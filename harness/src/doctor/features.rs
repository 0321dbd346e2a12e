//! Compares what the target shows with the policy (step 0 of the inbound rules), and whom it lets in.

use simulated_partners::negotiate::sasl::offers_external;
use simulated_partners::persona::{self, Tls};
use simulated_partners::probe::{ProbeReport, starttls_offer};

use super::Subject;
use super::finding::{Blame, CheckResult, Finding, Severity};
use super::trial_connection::TrialConnection;
use super::trials::{BARE, GOOD, Trials, UNKNOWN};
use crate::case::Direction;
use crate::console::describe_policy;
use crate::expectation::{End, Expectation};
use crate::oracle::inbound::Shown;
use crate::oracle::{Premises, Situation, expectation};
use crate::outcome::{Closer, Method, Outcome, Phase, Refusal, Signal};
use crate::policy::PolicyNumber;

const DIALBACK_ON: &str =
    "load dialback (Prosody: the module `dialback`; ejabberd: mod_s2s_dialback)";
const DIALBACK_OFF: &str =
    "do not load dialback (Prosody: the module `dialback`; ejabberd: mod_s2s_dialback)";
const DIALBACK_SHOWN: &str = "dialback should be among the features (XEP-0220 §2.2.1)";
const EXTERNAL_ON: &str =
    "load EXTERNAL (Prosody: the module `saslauth`; ejabberd has it wherever there is TLS)";
const EXTERNAL_OFF: &str =
    "do not load EXTERNAL (Prosody: the module `saslauth`; ejabberd has it wherever there is TLS)";
const TLS_ON: &str = "switch TLS on (Prosody: the module `tls`; ejabberd: s2s_use_starttls)";
const TLS_OFF: &str = "switch TLS off (Prosody: the module `tls`; ejabberd: s2s_use_starttls)";
const REQUIRE_TLS: &str = "require TLS (Prosody: s2s_require_encryption = true; ejabberd: \
                           s2s_use_starttls: required)";
const OFFER_TLS: &str = "do not require TLS (Prosody: s2s_require_encryption = false, and \
                         s2s_secure_auth = false, which requires it as well; ejabberd: \
                         s2s_use_starttls: optional)";
const DEMAND: &str = "demand valid certificates (Prosody: s2s_secure_auth = true; ejabberd: without \
                      mod_s2s_dialback)";
const DO_NOT_DEMAND: &str = "do not demand valid certificates (Prosody: s2s_secure_auth = false; \
                             ejabberd: with mod_s2s_dialback)";

/// Conditions of stream errors to a key that say nothing of the key.
const CLOSED: [&str; 4] = [
    "not-authorized",
    "policy-violation",
    "unsupported-feature",
    "unsupported-stanza-type",
];

/// A point in which the target is not as a policy says.
struct Difference {
    severity: Severity,
    what: String,
    /// What sets it.
    setting: String,
}

/// Compares both.
pub(super) fn policy(
    subject: &Subject,
    report: &ProbeReport,
    trials: Option<&Trials>,
) -> CheckResult {
    let Some(row) = subject.row else {
        return CheckResult::not_seen("no policy was given");
    };
    if !row.policy().valid() {
        return CheckResult::not_seen(format!(
            "{row} allows no method, so there is nothing to offer"
        ));
    }
    let Some(found) = differences(subject, row, report, trials) else {
        return CheckResult::not_seen("there is no stream");
    };
    let other = match report.secured() {
        Some(_) => other_row(subject, row, report, trials),
        // What TLS would show is not known.
        None => "correct the policy in the target file".to_owned(),
    };
    let findings = found.into_iter().map(|one| {
        let what = format!(
            "{}; {row} says {}",
            one.what,
            describe_policy(&row.policy())
        );
        let advice = format!("{}, or {other}", one.setting);
        Finding::new(one.severity, Blame::Configuration, what, advice)
    });
    CheckResult::of(findings.collect(), format!("what is offered fits {row}"))
}

/// What to write into the target file instead, by the policies that fit what is seen.
fn other_row(
    subject: &Subject,
    row: PolicyNumber,
    report: &ProbeReport,
    trials: Option<&Trials>,
) -> String {
    let others = PolicyNumber::all().filter(|other| *other != row && other.policy().valid());
    let fits = |other: &PolicyNumber| {
        let differences = differences(subject, *other, report, trials);
        differences.is_some_and(|differences| differences.is_empty())
    };
    let rows: Vec<String> = others
        .filter(fits)
        .map(|other| format!("{} ({})", other.number(), other.policy()))
        .collect();
    match rows.as_slice() {
        [] => "correct the policy in the target file".to_owned(),
        [one] => format!("write row {one} into the target file, which fits what is seen"),
        rows => format!(
            "write a row into the target file that fits what is seen: {}",
            rows.join(", ")
        ),
    }
}

/// All points in which the target is not as a policy says; none without a stream.
fn differences(
    subject: &Subject,
    row: PolicyNumber,
    report: &ProbeReport,
    trials: Option<&Trials>,
) -> Option<Vec<Difference>> {
    let clear = report
        .clear
        .as_ref()
        .filter(|clear| clear.fault.is_none())?;
    let expected = expected(subject, row)?;
    let mut found = Vec::new();
    let mut tell = |severity, what: &str, setting: &str| {
        found.push(Difference {
            severity,
            what: what.to_owned(),
            setting: setting.to_owned(),
        });
    };
    let starttls = clear.features.as_ref().and_then(starttls_offer);
    match (expected.starttls, starttls) {
        (Tls::None, Some(_)) => tell(Severity::Blocking, "STARTTLS is offered", TLS_OFF),
        (Tls::Required | Tls::Offered | Tls::Direct, None) => {
            let domain = &subject.domain;
            tell(
                Severity::Blocking,
                &format!(
                    "STARTTLS is not offered: the server has no certificate and key for {domain} \
                     that it can read and that belong together, or TLS is off"
                ),
                &format!(
                    "look at both files (do they exist, may the server's user read the key? its \
                     log says so; `s2spec cert {domain} --target FILE` issues a pair); else {TLS_ON}"
                ),
            );
        }
        (Tls::Required, Some(false)) => tell(
            Severity::Note,
            "STARTTLS is offered, but not marked as required",
            REQUIRE_TLS,
        ),
        (Tls::Offered, Some(true)) => tell(
            // Without dialback in clear nobody gets in without TLS anyway.
            match expected.dialback_in_clear {
                true => Severity::Blocking,
                false => Severity::Note,
            },
            "STARTTLS is required, not only offered",
            OFFER_TLS,
        ),
        (Tls::None, None)
        | (Tls::Direct, _)
        | (Tls::Required, Some(true))
        | (Tls::Offered, Some(false)) => {}
    }
    if clear.features.as_ref().is_some_and(offers_external) {
        tell(
            Severity::Warning,
            "EXTERNAL is offered before TLS",
            "EXTERNAL needs the certificate that TLS shows (XEP-0178 §3)",
        );
    }
    let over_tls = report.over_tls.as_ref().filter(|it| it.fault.is_none());
    let in_clear = clear.declares_dialback() || clear.offers_dialback();
    let inside = over_tls.map(|it| it.declares_dialback() || it.offers_dialback());
    let dialback_expected = expected.dialback_in_clear || expected.dialback_over_tls;
    if dialback_expected && !in_clear && inside != Some(true) {
        tell(
            Severity::Blocking,
            "dialback is off: the target names it nowhere",
            DIALBACK_ON,
        );
    } else if expected.dialback_in_clear && !in_clear {
        tell(
            Severity::Warning,
            "dialback is not advertised before TLS, neither as a namespace nor as a feature",
            DIALBACK_SHOWN,
        );
    } else if expected.dialback_over_tls && inside == Some(false) {
        tell(
            Severity::Warning,
            "dialback is not advertised over TLS",
            DIALBACK_SHOWN,
        );
    }
    if let (Some(secured), Some(over_tls)) = (report.secured(), over_tls) {
        let external = over_tls.features.as_ref().is_some_and(offers_external);
        if expected.asks_for_certificate && !secured.asked_for_certificate {
            tell(
                Severity::Blocking,
                "no client certificate is requested, so EXTERNAL is impossible",
                EXTERNAL_ON,
            );
        } else if external && !expected.external_over_tls {
            tell(
                Severity::Blocking,
                "EXTERNAL is offered over TLS",
                EXTERNAL_OFF,
            );
        }
        if !row.policy().dialback && over_tls.offers_dialback() {
            tell(
                Severity::Blocking,
                "dialback is among the features over TLS",
                DIALBACK_OFF,
            );
        }
    }
    if let Some(trials) = trials {
        // Who demands certificates requires TLS, too, and without dialback there is no other way in.
        let unknown = let_in(subject, row, UNKNOWN, &trials.unknown);
        let first = match found.first() {
            Some(one) if one.setting == DIALBACK_ON => 1,
            Some(_) | None => 0,
        };
        found.splice(first..first, unknown);
        let bare = trials.bare.as_ref();
        found.extend(bare.and_then(|bare| let_in(subject, row, BARE, bare)));
    }
    Some(found)
}

/// Whether a partner got in that must not, or was turned away that may come in, before its key was
/// verified. What goes wrong later is not a matter of the policy.
fn let_in(
    subject: &Subject,
    row: PolicyNumber,
    name: &str,
    trial: &TrialConnection,
) -> Option<Difference> {
    let persona = persona::find(name)?;
    let allowed: Expectation = expectation(&Situation {
        policy: row.policy(),
        profile: subject.profile,
        direction: Direction::Inbound,
        partner: &persona.offer,
        facts: &persona.facts,
    });
    let (who, [let_in, keep_out]) = match name {
        BARE => ("a partner without TLS", [OFFER_TLS, REQUIRE_TLS]),
        _ => (
            "a partner whose certificate is from an unknown authority",
            [DO_NOT_DEMAND, DEMAND],
        ),
    };
    let (what, setting) = match (trial.method(), trial.way_in()) {
        // Who takes every certificate is told so elsewhere.
        (Some(Method::SaslTls), _) => return None,
        // Its certificate was not seen.
        (Some(Method::TcpDialback), _) if name == UNKNOWN => return None,
        (Some(method), _) if allowed.established(method).is_none() => {
            (format!("{who} gets in by {method}"), keep_out)
        }
        (None, Outcome::Refused(refusal))
            if matches!(allowed.allowed.first()?.end, End::Established(_))
                && refusal.closer == Closer::Target
                && turned_away(name, &refusal)
                && trial.queries.is_empty() =>
        {
            (
                format!("{who} is turned away and may not use dialback: {refusal}"),
                let_in,
            )
        }
        (Some(_), _) | (None, _) => return None,
    };
    Some(Difference {
        severity: Severity::Blocking,
        what,
        setting: setting.to_owned(),
    })
}

/// Whether a refusal is for what the partner has, and not for its domain or its key.
fn turned_away(name: &str, refusal: &Refusal) -> bool {
    match refusal.phase {
        Phase::Tls | Phase::Method | Phase::Sasl => true,
        Phase::Stream | Phase::Starttls => name == BARE,
        // The way is closed, whatever the key.
        Phase::Dialback => matches!(&refusal.signal, Signal::StreamError(condition)
            if CLOSED.contains(&condition.as_str())),
        Phase::Config | Phase::Connect | Phase::Stanza => false,
    }
}

/// What a partner with all methods and a good certificate must be offered.
fn expected(subject: &Subject, row: PolicyNumber) -> Option<Shown> {
    let modern = persona::find(GOOD)?;
    Some(Shown::to(&Premises::of(&Situation {
        policy: row.policy(),
        profile: subject.profile,
        direction: Direction::Inbound,
        partner: &modern.offer,
        facts: &modern.facts,
    })))
}
