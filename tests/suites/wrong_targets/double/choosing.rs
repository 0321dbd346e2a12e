//! How the double proves itself to a server, and whether it takes the server's certificate.

use s2spec::policy::Level;
use simulated_partners::negotiate::sasl;
use simulated_partners::wire::{Element, NS_DIALBACK_FEATURE, NS_SASL, Unit};

use super::defect::Defect;
use super::outgoing::{Outgoing, Refused, TIMEOUT, redirect};
use super::stanza::stream_error;

impl Outgoing<'_> {
    /// The name that the partner's certificate has to be for.
    fn wanted(&self) -> &str {
        match self.server.defect {
            Some(Defect::ChecksTheServerForTheName) => &self.host,
            Some(Defect::ChecksTheNameInTheHeader) => {
                self.header.attribute("from").unwrap_or_default()
            }
            _ => self.to,
        }
    }

    /// Where certificates have to be good, a bad one is the end.
    pub(super) async fn accepts_certificate(&mut self) -> Result<(), Refused> {
        let is_good = self.server.proves(&self.link.chain, self.wanted());
        if self.server.strict && !is_good {
            self.link.write(&self.opening()).await?;
            self.link.send(&stream_error("policy-violation")).await?;
            return Err(Refused(TIMEOUT));
        }
        Ok(())
    }

    /// EXTERNAL where it is offered, or dialback.
    pub(super) async fn method(&mut self, features: &Element) -> Result<(), Refused> {
        if Unit::Success.is(features) {
            self.open().await?;
            self.features().await?;
            return Ok(());
        }
        let policy = self.server.policy(self.to);
        let secured = self.link.is_secured();
        // Only that defect keeps any.
        let follows = redirect(self.server, self.to).is_some();
        let trusted = secured && self.server.proves(&self.link.chain, self.wanted())
            || self.has(Defect::TrustsAnyServer)
            || follows;
        self.ask_for_both_ways(features).await?;
        let offered = sasl::offers_external(features)
            || self.has(Defect::PicksLongerMechanisms) && offers_any(features);
        if secured && !offered && self.has(Defect::NeedsAMechanism) {
            return Err(Refused(TIMEOUT));
        }
        if secured && !offered && self.has(Defect::SendsWithoutAMechanism) {
            return Ok(());
        }
        let may = policy.sasl != Level::NotSupported;
        let clear = self.has(Defect::UsesExternalInClear) || self.has(Defect::GoesOnWithoutTls);
        let external = offered && may && (secured || clear);
        if external && (trusted || clear || policy.dialback) && !self.has(Defect::PrefersDialback) {
            match self.external().await? {
                true if self.has(Defect::KeyAfterExternal) => return self.dialback().await,
                true => return Ok(()),
                false if self.has(Defect::WaitsAfterARefusal) => std::future::pending().await,
                false if !policy.dialback => return Err(Refused("remote-server-timeout")),
                false => {}
            }
        }
        let must_prove = policy.sasl == Level::Required && secured;
        if must_prove && !trusted && policy.tls == Level::Required {
            return Err(Refused("remote-server-timeout"));
        }
        if !policy.dialback && !self.has(Defect::UsesDialbackAlways) {
            return Err(Refused("remote-server-timeout"));
        }
        let advertised = features.find(NS_DIALBACK_FEATURE, "dialback").is_some();
        if !advertised && !self.knows_dialback {
            return Err(Refused("remote-server-timeout"));
        }
        self.dialback().await
    }
}

/// Whether a mechanism is offered whose name contains that of EXTERNAL.
fn offers_any(features: &Element) -> bool {
    let list = features.find(NS_SASL, "mechanisms");
    list.is_some_and(|list| {
        list.elements()
            .any(|one| one.content().contains("EXTERNAL"))
    })
}
