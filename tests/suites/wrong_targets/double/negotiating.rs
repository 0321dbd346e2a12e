//! Features, STARTTLS and EXTERNAL on a stream that a partner opens.

use std::io;
use std::sync::Arc;

use s2spec::policy::Level;
use simulated_partners::negotiate::sasl::{self, Claim};
use simulated_partners::wire::{Element, NS_DIALBACK_FEATURE, NS_SASL, NS_TLS, Unit};

use super::defect::Defect;
use super::incoming::{Incoming, Next};
use super::scrub::without_attribute;

/// Attempts at EXTERNAL that are answered.
const ATTEMPTS: u32 = 3;

impl Incoming {
    /// Whether EXTERNAL can succeed.
    pub(super) fn is_trusted(&self) -> bool {
        let name = self.peer.as_deref();
        name.is_some_and(|name| self.server.proves(&self.link.chain, name))
    }

    pub(super) fn features(&self) -> Element {
        let mut features = Unit::Features.element();
        let peer = self.peer.clone().unwrap_or_default();
        let policy = self.server.policy(&peer);
        let secured = self.link.is_secured();
        if self.external {
            return features;
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
        let wrongly = self.has(Defect::OffersExternalInClear) && !secured
            || self.has(Defect::OffersExternalToAnybody) && secured;
        if external && !self.has(Defect::OffersNoExternal) || wrongly {
            let mechanism = Element::new(NS_SASL, "mechanism").text("EXTERNAL");
            features = features.child(Element::new(NS_SASL, "mechanisms").child(mechanism));
        } else if secured && self.has(Defect::EmptyMechanisms) {
            features = features.child(Element::new(NS_SASL, "mechanisms"));
        }
        let comes_later = !secured && self.server.requires_tls(&peer);
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
        self.link.send(&Unit::Proceed.element()).await?;
        let config = Arc::clone(&self.server.accepts);
        if self.has(Defect::KeepsAliveInNegotiations) {
            self.link.write(" ").await?;
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
        self.link.send(&Unit::Success.element()).await?;
        self.external = true;
        if let Some(peer) = peer.clone() {
            self.server
                .proven
                .lock()
                .expect("no panic under it")
                .insert(peer);
        }
        let peer = peer.unwrap_or_default();
        self.verified.insert((peer, self.local.clone()));
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
        let failure = Unit::SaslFailure.with_condition(Unit::SaslFailure.element(), condition);
        if !self.has(Defect::RefusesWithoutAWord) {
            self.link.send(&failure).await?;
        }
        let endless = self.has(Defect::EndlessAttempts);
        let ends = self.attempts >= ATTEMPTS && !endless || self.has(Defect::EndsAtAFailure);
        match ends || self.has(Defect::RefusesWithoutAWord) {
            true if self.has(Defect::RefusesWithoutAWord) => Ok(Next::Over),
            true => self.fail("policy-violation").await,
            false => Ok(Next::On),
        }
    }
}
