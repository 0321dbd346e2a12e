//! Invariants over all situations: each rule is reached, and none allows a downgrade.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use simulated_partners::persona::{
    AuthorityFact, Certificate, Deviations, ExternalFact, Offer, StarttlsFact, StreamFact, Tls,
    builtin, find,
};

use super::prohibited::prohibited;
use super::{Profile, Situation, allowed, expectation, return_established, rules};
use crate::case::Direction;
use crate::expectation::{End, Expectation, Reason};
use crate::finding::Violation;
use crate::matrix::cases;
use crate::outcome::Method;
use crate::policy::{Level, Mode, PolicyNumber};

const CERTIFICATES: [Certificate; 8] = [
    Certificate::Good,
    Certificate::Expired,
    Certificate::WrongName,
    Certificate::SelfSigned,
    Certificate::UnknownCa,
    Certificate::NoClientAuth,
    Certificate::MissingIntermediate,
    Certificate::None,
];

/// An owned situation.
#[derive(Clone, Debug)]
struct Owned {
    row: PolicyNumber,
    profile: Profile,
    direction: Direction,
    offer: Offer,
    facts: Deviations,
}

impl Owned {
    fn borrow(&self) -> Situation<'_> {
        Situation {
            policy: self.row.policy(),
            profile: self.profile,
            direction: self.direction,
            partner: &self.offer,
            facts: &self.facts,
        }
    }
}

prop_compose! {
    fn profiles()(strict in any::<bool>(), strict_certificates in any::<bool>()) -> Profile {
        let mode = if strict { Mode::Strict } else { Mode::Matrix };
        Profile { mode, strict_certificates }
    }
}

prop_compose! {
    fn partners()(
        tls in prop::sample::select(vec![Tls::None, Tls::Offered, Tls::Required, Tls::Direct]),
        external in any::<bool>(),
        external_on_plaintext in any::<bool>(),
        dialback in any::<bool>(),
        insists_on_db_namespace in any::<bool>(),
        needs_external in any::<bool>(),
        certificate in prop::sample::select(CERTIFICATES.to_vec()),
    ) -> Offer {
        Offer {
            tls,
            external,
            external_on_plaintext,
            dialback,
            insists_on_db_namespace,
            needs_external,
            certificate,
            ..PolicyNumber::new(1).expect("1 to 18").policy().as_offer()
        }
    }
}

prop_compose! {
    fn deviations()(
        stream in prop::sample::select(vec![
            StreamFact::Normal,
            StreamFact::NoVersion,
            StreamFact::NoId,
            StreamFact::Silent,
            StreamFact::ResetAtFeatures,
            StreamFact::LateName,
        ]),
        starttls in prop::sample::select(vec![
            StarttlsFact::Proceeds,
            StarttlsFact::Refused,
            StarttlsFact::Broken,
            StarttlsFact::Legacy,
        ]),
        external in prop::sample::select(vec![
            ExternalFact::Accepted,
            ExternalFact::RefusedKept,
            ExternalFact::RefusedClosed,
        ]),
        authority in prop::sample::select(vec![
            AuthorityFact::Truthful,
            AuthorityFact::Invalid,
            AuthorityFact::WrongDomain,
            AuthorityFact::Silent,
            AuthorityFact::Unreachable,
        ]),
    ) -> Deviations {
        Deviations { stream, starttls, external, authority }
    }
}

prop_compose! {
    fn situations()(
        number in 1..=PolicyNumber::COUNT,
        profile in profiles(),
        outbound in any::<bool>(),
        offer in partners(),
        facts in prop_oneof![Just(Deviations::default()), deviations()],
    ) -> Owned {
        Owned {
            row: PolicyNumber::new(number).expect("1 to 18"),
            profile,
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            offer,
            facts,
        }
    }
}

fn may(expectation: &Expectation, method: Method) -> bool {
    expectation.established(method).is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn set_is_not_empty_and_names_each_end_once(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        prop_assert!(!expectation.allowed.is_empty());
        for (index, allowed) in expectation.allowed.iter().enumerate() {
            let rest = &expectation.allowed[index + 1..];
            prop_assert!(rest.iter().all(|other| other.end != allowed.end));
        }
        prop_assert!(expectation.allowed[0].warn.is_none(), "the expected end carries a ground");
    }

    #[test]
    fn no_method_outside_the_policy_is_allowed(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        let methods = owned.row.policy().methods(owned.profile.mode);
        for method in [Method::SaslTls, Method::TlsDialback, Method::TcpDialback] {
            prop_assert!(methods.contains(method) || !may(&expectation, method));
        }
        let config = expectation.reasons().any(|(reason, _)| reason == Reason::Config);
        prop_assert_eq!(config, methods.is_empty());
    }

    #[test]
    fn nothing_weaker_than_the_partner_demands_is_allowed(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        let offer = &owned.offer;
        if offer.tls.is_demanded() {
            prop_assert!(!may(&expectation, Method::TcpDialback));
        }
        if offer.needs_external || !offer.dialback {
            prop_assert!(!may(&expectation, Method::TcpDialback));
            prop_assert!(!may(&expectation, Method::TlsDialback));
        }
        if offer.tls == Tls::None || !offer.external {
            prop_assert!(!may(&expectation, Method::SaslTls));
        }
    }

    #[test]
    fn required_tls_never_ends_in_clear(owned in situations()) {
        let situation = owned.borrow();
        if owned.row.policy().tls == Level::Required {
            prop_assert!(!may(&expectation(&situation), Method::TcpDialback));
            let prohibited = prohibited(&situation);
            for act in [Violation::KeyInClear, Violation::ValidInClear, Violation::VerifyInClear, Violation::StanzaInClear] {
                prop_assert!(prohibited.contains(&act));
            }
        }
    }

    #[test]
    fn tls_methods_need_a_handshake(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        let broken = matches!(owned.facts.starttls, StarttlsFact::Broken | StarttlsFact::Legacy);
        let outbound = owned.direction == Direction::Outbound;
        let none = outbound && owned.offer.certificate == Certificate::None;
        let refused = outbound && owned.facts.starttls == StarttlsFact::Refused;
        if broken || none || refused {
            prop_assert!(!may(&expectation, Method::SaslTls));
            prop_assert!(!may(&expectation, Method::TlsDialback));
        }
    }

    #[test]
    fn inbound_external_needs_a_certificate_from_a_known_authority(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        let good = matches!(owned.offer.certificate, Certificate::Good | Certificate::NoClientAuth);
        if owned.direction == Direction::Inbound && !good {
            prop_assert!(!may(&expectation, Method::SaslTls));
        }
        if owned.direction == Direction::Outbound && !good {
            let established = expectation.established(Method::SaslTls);
            prop_assert!(established.is_none_or(|allowed| allowed.warn.is_some()));
        }
    }

    #[test]
    fn a_key_that_the_authority_denies_needs_another_proof(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        if owned.direction == Direction::Inbound && owned.facts.authority != AuthorityFact::Truthful {
            prop_assert!(!may(&expectation, Method::TcpDialback));
            let good = matches!(owned.offer.certificate, Certificate::Good | Certificate::NoClientAuth);
            prop_assert!(good || !may(&expectation, Method::TlsDialback));
        }
    }

    #[test]
    fn no_dialback_goes_out_on_a_stream_without_id(owned in situations()) {
        let expectation = expectation(&owned.borrow());
        if owned.direction == Direction::Outbound && owned.facts.stream == StreamFact::NoId {
            prop_assert!(!may(&expectation, Method::TcpDialback));
            prop_assert!(!may(&expectation, Method::TlsDialback));
        }
    }

    #[test]
    fn nothing_forbidden_is_needed_for_an_allowed_end(owned in situations()) {
        let situation = owned.borrow();
        let expectation = expectation(&situation);
        let prohibited = prohibited(&situation);
        let outbound = owned.direction == Direction::Outbound;
        for (method, act) in [
            (Method::SaslTls, if outbound { Violation::Auth } else { Violation::Success }),
            (Method::TlsDialback, if outbound { Violation::KeyOverTls } else { Violation::ValidOverTls }),
            (Method::TcpDialback, if outbound { Violation::KeyInClear } else { Violation::ValidInClear }),
        ] {
            prop_assert!(!(may(&expectation, method) && prohibited.contains(&act)), "{act:?}");
        }
        if may(&expectation, Method::SaslTls) || may(&expectation, Method::TlsDialback) {
            prop_assert!(!prohibited.contains(&Violation::Starttls));
        }
        if may(&expectation, Method::TcpDialback) {
            prop_assert!(!prohibited.contains(&Violation::StanzaInClear));
        }
    }

    #[test]
    fn stricter_settings_allow_no_new_way_in(owned in situations()) {
        let strict = Owned {
            profile: Profile { mode: Mode::Strict, strict_certificates: true },
            ..owned.clone()
        };
        let lax = Owned { profile: Profile::default(), ..owned };
        let lax = expectation(&lax.borrow());
        for method in [Method::SaslTls, Method::TlsDialback, Method::TcpDialback] {
            let now = may(&expectation(&strict.borrow()), method);
            prop_assert!(!now || may(&lax, method));
        }
    }
}

/// Every situation that the rules distinguish.
fn all_situations() -> impl Iterator<Item = Owned> {
    let facts = [
        Deviations::default(),
        Deviations {
            stream: StreamFact::NoVersion,
            ..Deviations::default()
        },
        Deviations {
            stream: StreamFact::NoId,
            ..Deviations::default()
        },
        Deviations {
            stream: StreamFact::Silent,
            ..Deviations::default()
        },
        Deviations {
            stream: StreamFact::ResetAtFeatures,
            ..Deviations::default()
        },
        Deviations {
            stream: StreamFact::LateName,
            ..Deviations::default()
        },
        Deviations {
            starttls: StarttlsFact::Refused,
            ..Deviations::default()
        },
        Deviations {
            starttls: StarttlsFact::Broken,
            ..Deviations::default()
        },
        Deviations {
            external: ExternalFact::RefusedKept,
            ..Deviations::default()
        },
        Deviations {
            external: ExternalFact::RefusedClosed,
            ..Deviations::default()
        },
        Deviations {
            authority: AuthorityFact::Invalid,
            ..Deviations::default()
        },
        Deviations {
            authority: AuthorityFact::Unreachable,
            ..Deviations::default()
        },
    ];
    let mut offers = Vec::new();
    for tls in [Tls::None, Tls::Offered, Tls::Required, Tls::Direct] {
        for certificate in CERTIFICATES {
            for bits in 0..16_u8 {
                offers.push(Offer {
                    tls,
                    certificate,
                    external: bits & 1 != 0,
                    dialback: bits & 2 != 0,
                    needs_external: bits & 4 != 0,
                    insists_on_db_namespace: bits & 8 != 0,
                    ..PolicyNumber::new(1).expect("1 to 18").policy().as_offer()
                });
            }
        }
    }
    let profiles = [false, true].map(|strict_certificates| Profile {
        mode: Mode::Matrix,
        strict_certificates,
    });
    PolicyNumber::all().flat_map(move |row| {
        let facts = facts.clone();
        offers.clone().into_iter().flat_map(move |offer| {
            facts.clone().into_iter().flat_map(move |facts| {
                let offer = offer.clone();
                profiles.into_iter().flat_map(move |profile| {
                    let (offer, facts) = (offer.clone(), facts.clone());
                    Direction::ALL.iter().map(move |&direction| Owned {
                        row,
                        profile,
                        direction,
                        offer: offer.clone(),
                        facts: facts.clone(),
                    })
                })
            })
        })
    })
}

#[test]
fn every_rule_is_reached_and_every_reason_given() {
    let mut reached = BTreeSet::new();
    let mut given = BTreeSet::new();
    for owned in all_situations() {
        let expectation = expectation(&owned.borrow());
        reached.insert(expectation.rule);
        given.extend(expectation.reasons().map(|(reason, _)| reason));
    }
    for &direction in Direction::ALL {
        for rule in rules(direction) {
            assert!(reached.contains(rule.id), "{} is never reached", rule.id);
        }
    }
    assert_eq!(given, Reason::ALL.iter().copied().collect());
}

#[test]
fn rule_ids_are_unique_and_found() {
    let mut ids = BTreeSet::new();
    for &direction in Direction::ALL {
        for rule in rules(direction) {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            assert_eq!(super::rule(rule.id).map(|rule| rule.id), Some(rule.id));
            assert!(rule.says.ends_with('.'));
        }
    }
    assert!(super::rule("out.9").is_none());
}

#[test]
fn return_is_certain_only_where_the_other_direction_cannot_be_refused() {
    let returns = |row, name| {
        let persona = find(name).expect("built in");
        return_established(&Situation {
            policy: PolicyNumber::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction: Direction::Inbound,
            partner: &persona.offer,
            facts: &persona.facts,
        })
    };
    assert!(returns(7, "modern"));
    // When dialled, this partner refuses EXTERNAL, and the target may give up there.
    assert!(!returns(7, "external-refused-kept"));
    assert!(!returns(7, "silent-after-accept"));
}

/// The possible ends of each persona, row by row, for review. Rows with the same set share a line.
#[test]
fn personas_have_the_expectations_on_record() {
    let mut text = String::new();
    for persona in builtin() {
        for &direction in Direction::ALL {
            let mut lines: BTreeMap<(u8, String), Vec<String>> = BTreeMap::new();
            let mut first: BTreeMap<String, u8> = BTreeMap::new();
            for case in cases(std::slice::from_ref(&persona)) {
                if case.set != crate::case::Set::Personas || case.direction != direction {
                    continue;
                }
                let expectation = allowed(&case, Profile::default()).expect("no scenario");
                let ends: Vec<String> = expectation.allowed.iter().map(short).collect();
                let line = format!("{}: {}", expectation.rule, ends.join(", "));
                let number = case.row.number();
                let place = *first.entry(line.clone()).or_insert(number);
                lines
                    .entry((place, line))
                    .or_default()
                    .push(number.to_string());
            }
            text.push_str(&format!("{} {direction}\n", persona.name));
            for ((_, line), rows) in lines {
                text.push_str(&format!("  rows {:<22} {line}\n", rows.join(" ")));
            }
        }
    }
    insta::assert_snapshot!(text);
}

fn short(allowed: &crate::expectation::Allowed) -> String {
    let end = match &allowed.end {
        End::Established(method) => method.to_string(),
        End::Refused(reason) => reason.to_string(),
    };
    if allowed.warn.is_some() {
        format!("({end})")
    } else {
        end
    }
}
