//! What must never be accepted, whatever the tables allow: random policies meet random partners on the
//! real proxy.

use std::sync::Arc;

use proptest::prelude::*;
use s2spec::case::{Case, Direction, Script, Set, Setting};
use s2spec::oracle::Profile;
use s2spec::outcome::{Method, Outcome};
use s2spec::policy::{Level, PolicyNumber};
use s2spec::record::Record;
use s2spec::verdict::Verdict;
use simulated_partners::persona::{
    AuthorityFact, Certificate, Deviations, Key, Offer, Persona, Tls, TlsVersion,
};

use crate::support::{reference, run};

fn offer() -> impl Strategy<Value = Offer> {
    let tls = prop_oneof![Just(Tls::None), Just(Tls::Offered), Just(Tls::Required)];
    let certificate = prop_oneof![
        Just(Certificate::Good),
        Just(Certificate::Expired),
        Just(Certificate::WrongName),
        Just(Certificate::SelfSigned),
        Just(Certificate::UnknownCa),
        Just(Certificate::NoClientAuth),
        Just(Certificate::MissingIntermediate),
        Just(Certificate::None),
    ];
    let versions = prop_oneof![
        Just(vec![TlsVersion::V12]),
        Just(vec![TlsVersion::V13]),
        Just(vec![TlsVersion::V12, TlsVersion::V13]),
    ];
    (
        tls,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        certificate,
        versions,
    )
        .prop_map(
            |(tls, external, dialback, needs_external, certificate, tls_versions)| {
                let external = external && tls != Tls::None;
                Offer {
                    tls,
                    external,
                    external_on_plaintext: false,
                    insists_on_db_namespace: false,
                    dialback,
                    needs_external: needs_external && external,
                    certificate,
                    key: Key::P256,
                    tls_versions,
                }
            },
        )
}

fn case(number: usize) -> impl Strategy<Value = Case> {
    let authority = prop_oneof![
        3 => Just(AuthorityFact::Truthful),
        1 => Just(AuthorityFact::Invalid),
        1 => Just(AuthorityFact::WrongDomain),
    ];
    let direction = prop_oneof![Just(Direction::Outbound), Just(Direction::Inbound)];
    (1u8..=18, offer(), authority, direction).prop_map(move |(row, offer, authority, direction)| {
        let reactions = match authority {
            AuthorityFact::Truthful => Vec::new(),
            AuthorityFact::Invalid => reactions_of("authority-invalid"),
            _ => reactions_of("authority-wrong-domain"),
        };
        let partner = Persona {
            name: format!("random-{number}"),
            offer,
            facts: Deviations {
                authority,
                ..Deviations::default()
            },
            reactions,
            ..simulated_partners::persona::find("modern").expect("the persona is built in")
        };
        let partner = Arc::new(partner);
        Case {
            id: format!("offers/random/partner{number}/{row}"),
            set: Set::Offers,
            row: PolicyNumber::new(row).expect("the row is in range"),
            script: Arc::new(Script::of_matrix(&partner, direction, Setting::Usual)),
            partner,
            direction,
        }
    })
}

fn reactions_of(name: &str) -> Vec<simulated_partners::reaction::Reaction> {
    simulated_partners::persona::find(name)
        .expect("the persona is built in")
        .reactions
}

/// What is wrong with an accepted stream, if anything.
fn never(record: &Record) -> Option<&'static str> {
    let Some(Outcome::Established(method)) = &record.result.outcome() else {
        return None;
    };
    let policy = record.result.case.row.policy();
    let offer = &record.result.case.partner.offer;
    let dialback = *method != Method::SaslTls;
    let good = matches!(
        offer.certificate,
        Certificate::Good | Certificate::NoClientAuth
    );
    if !policy.valid() {
        Some("an invalid policy accepted a partner")
    } else if *method == Method::TcpDialback && policy.tls == Level::Required {
        Some("plaintext was accepted although the policy requires TLS")
    } else if *method == Method::TcpDialback && offer.tls == Tls::Required {
        Some("plaintext was accepted although the partner requires TLS")
    } else if *method != Method::TcpDialback && policy.tls == Level::NotSupported {
        Some("TLS was used although the policy excludes it")
    } else if dialback && !policy.dialback {
        Some("dialback was accepted although the policy excludes it")
    } else if dialback && offer.needs_external {
        Some("dialback was accepted although the partner demands EXTERNAL")
    } else if dialback && policy.tls == Level::Required && policy.sasl == Level::Required {
        Some("dialback was accepted although TLS and EXTERNAL are required")
    } else if !dialback && policy.sasl == Level::NotSupported {
        Some("EXTERNAL was used although the policy excludes it")
    } else if !dialback && !good && record.result.case.direction == Direction::Inbound {
        Some("EXTERNAL was accepted with a bad certificate")
    } else if dialback
        && record.result.case.direction == Direction::Inbound
        && record.result.case.partner.facts.authority != AuthorityFact::Truthful
    {
        Some("a key was accepted that its authoritative server did not confirm")
    } else {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_forbidden_is_ever_accepted(
        cases in (0..72usize).map(case).collect::<Vec<_>>()
    ) {
        for record in run(reference(), Profile::default(), &cases) {
            prop_assert!(never(&record).is_none(), "{}: {:?}: {}", record.result.case.id, never(&record), record.result.wire);
            prop_assert!(
                matches!(record.verdict, Verdict::Pass | Verdict::Warn),
                "{} {:?} {:?} {:?}: {}\n{}",
                record.result.case.id,
                record.result.case.partner.offer,
                record.verdict,
                record.result.allowed,
                record.why,
                record.result.wire,
            );
        }
    }
}
