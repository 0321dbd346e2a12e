//! Features, STARTTLS and EXTERNAL on a stream that a partner opens.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s2spec::policy::Level;
use simulated_partners::negotiate::sasl::{self, Claim};
use simulated_partners::wire::{Element, NS_DIALBACK_FEATURE, NS_SASL, NS_SERVER, NS_TLS, Unit};

use super::both_ways::NS_FEATURE;
use super::defect::Defect;
use super::incoming::{Incoming, Next};
use super::scrub::without_attribute;
use super::{handmade, managed};

/// Attempts at EXTERNAL that are answered.
const ATTEMPTS: u32 = 3;

impl Incoming {
    /// Whether EXTERNAL can succeed.
    pub(super) fn is_trusted(&self) -> bool {
        let name = self.peer.as_deref();
        let chain = &self.link.chain;
        let meant =
            self.server.is_for_clients(chain) || !self.has(Defect::NeedsThePurposeOfClients);
        name.is_some_and(|name| meant && self.server.proves(chain, name))
    }

    pub(super) fn features(&self) -> Element {
        let mut features = Unit::Features.element();
        let peer = self.peer.clone().unwrap_or_default();
        let terms = self.server.terms(&peer);
        let policy = terms.policy;
        let secured = self.link.is_secured();
        if self.external {
            if terms.managed {
                features = features.child(Element::new(managed::NS, "sm"));
            }
            if self.has(Defect::OffersMechanismsAgain) {
                features = features.child(mechanisms());
            }
            return features;
        }
        if terms.bidi && secured {
            features = features.child(Element::new(NS_FEATURE, "bidi"));
        }
        if self.has(Defect::OffersCompression) {
            let namespace = "http://jabber.org/features/compress";
            features = features.child(Element::new(namespace, "compression"));
        }
        let offers_tls = policy.tls != Level::NotSupported && !self.has(Defect::OffersNoTls)
            || self.has(Defect::OffersTlsAlways);
        if offers_tls && !secured || secured && self.has(Defect::OffersTlsInTls) {
            let mut starttls = Element::new(NS_TLS, "starttls");
            if self.server.requires_tls(&peer) && !self.has(Defect::LeavesRequiredOut) {
                starttls = starttls.child(Element::new(NS_TLS, "required"));
            }
            features = features.child(starttls);
        }
        let allowed = policy.sasl != Level::NotSupported || self.has(Defect::IgnoresThatSaslIsOff);
        let external = secured && self.is_trusted() && allowed;
        let anybody =
            self.has(Defect::OffersExternalToAnybody) || self.has(Defect::OffersExternalAndCloses);
        let wrongly = self.has(Defect::OffersExternalInClear) && !secured || anybody && secured;
        if external && !self.has(Defect::OffersNoExternal) || wrongly {
            features = features.child(mechanisms());
        } else if secured && self.has(Defect::EmptyMechanisms) {
            features = features.child(Element::new(NS_SASL, "mechanisms"));
        }
        let rules_out = secured && !external && self.has(Defect::NoDialbackForBadCertificates);
        let comes_later = rules_out || !secured && self.server.requires_tls(&peer);
        if policy.dialback && !comes_later && !self.has(Defect::AdvertisesNoDialback) {
            let errors = Element::new(NS_DIALBACK_FEATURE, "errors");
            let dialback = Element::new(NS_DIALBACK_FEATURE, "dialback").child(errors);
            features = features.child(dialback);
        }
        features
    }

    pub(super) async fn starttls(&mut self) -> io::Result<Next> {
        let peer = self.peer.clone().unwrap_or_default();
        if self.link.is_secured() && self.has(Defect::ProceedsTwice) {
            self.link.send(&Unit::Proceed.element()).await?;
            return Ok(Next::On);
        }
        if self.link.is_secured() || self.server.policy(&peer).tls == Level::NotSupported {
            self.link.send(&Unit::TlsFailure.element()).await?;
            return Ok(Next::Over);
        }
        let reads_on = self.has(Defect::ReadsOnBehindStarttls);
        if self.link.has_unread() && !reads_on {
            return self.fail("policy-violation").await;
        }
        let proceed = match self.has(Defect::ProceedsInAnotherNamespace) {
            true => Element::new(NS_SERVER, "proceed"),
            false => Unit::Proceed.element(),
        };
        self.link.send(&proceed).await?;
        let config = Arc::clone(&self.server.accepts);
        if self.has(Defect::KeepsAliveInNegotiations) {
            self.link.write(" ").await?;
        }
        if self.has(Defect::AnswersAnyHello) {
            handmade::answer(self.link.plain()?).await?;
            return Ok(Next::Over);
        }
        let speaks = self.has(Defect::SpeaksAfterBrokenTls);
        if self.link.accept_tls(config, speaks).await.is_err() {
            return match speaks {
                true => self.fail("undefined-condition").await,
                false => Ok(Next::Over),
            };
        }
        self.link.restart(reads_on);
        self.restarts = true;
        Ok(Next::On)
    }

    pub(super) async fn auth(&mut self, auth: &Element) -> io::Result<Next> {
        if self.external && !self.has(Defect::AuthenticatesTwice) {
            return self.fail("not-authorized").await;
        }
        let peer = self.peer.clone();
        let policy = self.server.policy(peer.as_deref().unwrap_or_default());
        let trusted = self.is_trusted() || self.has(Defect::BelievesAnyCertificate);
        let from = match self.has(Defect::BelievesTheAuthorizationIdentity) {
            true => None,
            false => peer.as_deref(),
        };
        let mechanism = match self.has(Defect::TakesAnyMechanism) {
            true => without_attribute(auth.clone(), "mechanism").attr("mechanism", "EXTERNAL"),
            false => auth.clone(),
        };
        let clear = self.has(Defect::AcceptsExternalInClear);
        let unnamed = ["", "="].contains(&auth.content().trim());
        let challenges = match auth.content().trim() {
            "" => self.has(Defect::BelievesResponses) || self.has(Defect::KeepsTheFirstHandshake),
            "=" => self.has(Defect::TakesEmptyForMissing),
            _ => false,
        };
        if challenges {
            self.link.send(&Unit::Challenge.element()).await?;
            return Ok(Next::On);
        }
        if self.has(Defect::KeepsTheFirstHandshake) {
            return self.refuse("malformed-request").await;
        }
        if unnamed && self.has(Defect::NeedsAnIdentity) {
            return self.refuse("invalid-authzid").await;
        }
        if self.is_locked_out() {
            return self.refuse("temporary-auth-failure").await;
        }
        if self.has(Defect::KeepsAliveInNegotiations) {
            self.link.write(" ").await?;
        }
        let claim = Claim {
            encrypted: self.link.is_secured() || clear,
            offered: policy.sasl != Level::NotSupported || self.has(Defect::IgnoresThatSaslIsOff),
            trusted: trusted || clear,
            from: from.or(peer.as_deref()),
        };
        let judged = match self.has(Defect::BelievesTheAuthorizationIdentity) {
            true if claim.trusted => Ok(()),
            _ => sasl::judge(&mechanism, claim),
        };
        if let Err(condition) = judged {
            return self.refuse(condition).await;
        }
        self.succeed().await
    }

    /// Takes whatever identity a response names.
    pub(super) async fn believe(&mut self, response: &Element) -> io::Result<Next> {
        if let Ok(Ok(name)) = STANDARD.decode(response.content()).map(String::from_utf8) {
            self.peer = Some(name);
        }
        self.succeed().await
    }

    /// EXTERNAL has succeeded.
    async fn succeed(&mut self) -> io::Result<Next> {
        let peer = self.peer.clone();
        if self.has(Defect::EndsBeforeTheRestart) {
            self.link.write("</stream:stream>").await?;
        }
        self.link.send(&Unit::Success.element()).await?;
        self.external = true;
        if self.has(Defect::ForgetsBidirectionality) {
            self.bidi = false;
        }
        if let Some(peer) = peer.clone() {
            self.server
                .proven
                .lock()
                .expect("no panic under it")
                .insert(peer);
        }
        let peer = peer.unwrap_or_default();
        self.trust(peer, self.local.clone());
        if !self.has(Defect::GoesOnWithoutRestart) {
            self.link.restart(true);
            self.restarts = true;
        }
        Ok(Next::On)
    }

    fn is_locked_out(&self) -> bool {
        let domain = self.peer.as_deref().unwrap_or_default();
        let failures = self.server.failures.lock().expect("no panic under it");
        let count = failures.get(domain).copied().unwrap_or_default();
        count >= ATTEMPTS && self.has(Defect::LocksOut)
    }

    /// Counts an attempt that failed.
    fn failed(&self) {
        let domain = self.peer.clone().unwrap_or_default();
        let mut failures = self.server.failures.lock().expect("no panic under it");
        *failures.entry(domain).or_default() += 1;
    }

    pub(super) async fn refuse(&mut self, condition: &'static str) -> io::Result<Next> {
        self.attempts += 1;
        let condition = match self.has(Defect::RefusesWithOneCondition) {
            true => "not-authorized",
            false => condition,
        };
        self.failed();
        if self.has(Defect::EndsAllOfARefusedPartner) {
            let peer = self.peer.clone().unwrap_or_default();
            let mut out = self.server.out.lock().expect("no panic under it");
            out.retain(|(_, to), _| *to != peer);
        }
        let failure = Unit::SaslFailure.with_condition(Unit::SaslFailure.element(), condition);
        let wordless =
            self.has(Defect::RefusesWithoutAWord) || self.has(Defect::OffersExternalAndCloses);
        if !wordless {
            self.link.send(&failure).await?;
        }
        let endless = self.has(Defect::EndlessAttempts);
        let ends = self.attempts >= ATTEMPTS && !endless || self.has(Defect::EndsAtAFailure);
        match ends || wordless {
            true if wordless => Ok(Next::Over),
            true => self.fail("policy-violation").await,
            false => Ok(Next::On),
        }
    }
}

fn mechanisms() -> Element {
    let mechanism = Element::new(NS_SASL, "mechanism").text("EXTERNAL");
    Element::new(NS_SASL, "mechanisms").child(mechanism)
}
