//! Simulated partners in the place of targets: what is learned of them is what they are.

use std::io;
use std::time::Duration;

use rstest::rstest;
use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::persona::{AuthorityFact, StarttlsFact, StreamFact, builtin, find};

use super::*;
use crate::case::Case;
use crate::doctor::{Depth, Extra, PublicDns};
use crate::lab::Ports;
use crate::oracle::Profile;
use crate::policy::PolicyNumber;
use crate::subject::{Hidden, Inside, Pending, Placement, Running, StartError, Stop, Trigger};

/// No answer of a simulated partner takes as long.
const PATIENCE: Duration = Duration::from_millis(700);
const DOMAIN: &str = "im.example";

/// A simulated partner that is dialled. It asks no DNS, and finds the first partner alone.
struct StandIn(Persona);

impl Target for StandIn {
    fn name(&self) -> String {
        "a stand-in".to_owned()
    }

    fn place(&self, _: &Case) -> Placement {
        Placement::Group("one".to_owned())
    }

    fn lab(&self, seed: u64) -> io::Result<Lab> {
        Ok(Lab {
            ports: Ports::OfDomains,
            ..Lab::open(seed)?
        })
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        _: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let offer = &self.0.offer;
            let mut names = cases.iter().map(Case::domain);
            let first = names.next().expect("five cases");
            // It will listen there again.
            let place = lab.place(&first, lab.partners).expect("a free port");
            let persona = Arc::new(self.0.clone());
            let target = place.address();
            let setup = PartnerSetup::new(&lab.authority, DOMAIN, persona, &first, target);
            let partner = Partner::start(PartnerSetup {
                other_domains: names.collect(),
                patience: PATIENCE,
                answers: true,
                ..setup
            })
            .await
            .expect("a free port");
            let inner = Inside::Hidden(Hidden::new(Trigger::Reply));
            let running = Running {
                direct_tls: (offer.tls == Tls::Direct).then(|| partner.address()),
                ..Running::new(DOMAIN, partner.address(), inner)
            };
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    partner.stop().await;
                    Ok(())
                })
            });
            Ok((running, stop))
        })
    }
}

fn how() -> Preflight {
    Preflight {
        row: PolicyNumber::new(9),
        profile: Profile::default(),
        seed: 1,
        patience: PATIENCE,
        depth: Depth::Full,
        public_dns: PublicDns::System { remote: false },
        extra: Extra::default(),
    }
}

async fn learned_of(persona: &Persona) -> Learned {
    let learned = learn(&StandIn(persona.clone()), &how()).await;
    learned.unwrap_or_else(|error| panic!("{}: {error}", persona.name))
}

/// Personas that show everything where they are dialled.
fn shows_all(persona: &Persona) -> bool {
    let is_heard = !matches!(
        persona.facts.stream,
        StreamFact::Silent | StreamFact::ResetAtFeatures
    );
    is_heard
        && persona.facts.starttls == StarttlsFact::Proceeds
        && persona.facts.authority != AuthorityFact::Unreachable
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_learned_of_a_persona_is_the_persona() {
    for persona in builtin().iter().filter(|persona| shows_all(persona)) {
        let learned = learned_of(persona).await;
        let seen = format!("{}: {learned:#?}", persona.name);
        assert_eq!(learned.persona.facts, persona.facts, "{seen}");
        assert_eq!(learned.persona.reactions, persona.reactions, "{seen}");
        assert_eq!(learned.persona.offer, persona.offer, "{seen}");
    }
}

#[rstest]
#[case("silent-after-accept")]
#[case("reset-at-features")]
#[case("starttls-failure")]
#[case("handshake-broken")]
#[case("legacy-tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_nothing_is_learned_too(#[case] name: &str) {
    let persona = find(name).expect("a persona");
    let learned = learned_of(&persona).await;
    assert_eq!(learned.persona.facts, persona.facts, "{learned:#?}");
    assert_eq!(learned.persona.reactions, persona.reactions);
    assert!(!learned.unseen.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_seen_is_said() {
    let persona = find("modern").expect("a persona");
    let learned = learned_of(&persona).await;
    // It finds only the first, to whom it sends no key.
    let unseen = learned.unseen.join("\n");
    for part in ["authority:", "direct TLS:", "did not dial a partner"] {
        assert!(unseen.contains(part), "{part}: {unseen}");
    }
    let does = learned.initiating.join("\n");
    assert!(does.contains("all methods: it uses sasl-tls"), "{does}");
}

#[tokio::test]
async fn nothing_is_learned_of_a_server_that_is_not_there() {
    let persona = find("authority-unreachable").expect("a persona");
    let error = learn(&StandIn(persona), &how())
        .await
        .expect_err("nobody listens");
    assert!(error.to_string().contains("takes no connection"), "{error}");
}

#[tokio::test]
async fn names_end_below_the_domain_that_the_target_allows() {
    let own = [
        "a.x.example",
        "b.x.example",
        "c.x.example",
        "d.x.example",
        "e.x.example",
    ];
    let own = own.map(str::to_owned);
    let any = domains(&AllowList::Any, &own);
    assert_eq!(any, own);
    let below = domains(&AllowList::Below("lab.test".to_owned()), &own);
    assert_eq!(below[1], "b.x.lab.test");
    let listed = ["one.example".to_owned(), "two.example".to_owned()];
    let listed = domains(&AllowList::Only(listed.to_vec()), &own);
    assert_eq!(listed.map(|name| name.len()), [11; 5]);
}
