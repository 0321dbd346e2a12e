//! STARTTLS, EXTERNAL and dialback on a stream that the double opens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use simulated_partners::negotiate::dialback::{self, Answer, read_answer};
use simulated_partners::negotiate::sasl;
use simulated_partners::wire::{Element, Kind, Unit};

use super::defect::Defect;
use super::handmade;
use super::names::a_labels;
use super::outgoing::{Outgoing, Refused, TIMEOUT};
use super::stanza::stream_error;

impl Outgoing<'_> {
    /// The next element, which has to be written like this one.
    async fn literal(&mut self, wanted: &Element) -> Result<Element, Refused> {
        let frame = self.link.frame().await.map_err(|_| Refused(TIMEOUT))?;
        match frame.kind {
            Kind::Element(element) if frame.raw == wanted.to_xml().as_bytes() => Ok(element),
            _ => Err(Refused(TIMEOUT)),
        }
    }

    /// STARTTLS: whether TLS is up.
    pub(super) async fn secure(&mut self) -> Result<bool, Refused> {
        self.link.send(&Unit::Starttls.element()).await?;
        if self.has(Defect::KeepsAliveInNegotiations) {
            self.link.write(" ").await?;
        }
        if self.has(Defect::SpeaksBeforeTheHandshake) {
            self.link.send(&Unit::Presence.element()).await?;
        }
        let answer = match self.has(Defect::ReadsProceedLiterally) {
            true => self.literal(&Unit::Proceed.element()).await?,
            false => self.element().await?,
        };
        if !Unit::Proceed.is(&answer) {
            return match self.has(Defect::GoesOnAfterTlsFailure) {
                true => Ok(false),
                false => Err(Refused("policy-violation")),
            };
        }
        let reads_on = self.has(Defect::ReadsOnBehindProceed);
        if self.link.has_unread() && !reads_on {
            return Err(Refused("policy-violation"));
        }
        self.handshake(None).await?;
        self.link.restart(reads_on);
        Ok(true)
    }

    /// TLS, with the protocol that direct TLS asks for.
    pub(super) async fn handshake(&mut self, protocol: Option<&str>) -> Result<(), Refused> {
        let name = match self.server.defect {
            Some(Defect::AsksForTheServer) => &self.host,
            Some(Defect::AsksForTheWrongName) => self.from,
            _ => self.to,
        };
        let name = match self.has(Defect::KnowsNoForeignNames) {
            true => name.to_owned(),
            false => a_labels(name),
        };
        let name = ServerName::try_from(name).map_err(|_| Refused(TIMEOUT))?;
        let mut config = rustls::ClientConfig::clone(&self.server.dials);
        config.enable_sni = !self.has(Defect::NamesNobody);
        config.alpn_protocols = protocol.iter().map(|one| one.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        if self.has(Defect::TakesAnyServerHello) {
            handmade::ask(self.link.plain()?).await?;
            return Err(Refused(TIMEOUT));
        }
        let speaks = self.has(Defect::SpeaksAfterBrokenTls);
        if let Err(error) = self.link.start_tls(config, name, speaks).await {
            if speaks {
                self.link.send(&stream_error("undefined-condition")).await?;
            }
            return Err(error.into());
        }
        Ok(())
    }

    /// EXTERNAL: whether it succeeded.
    pub(super) async fn external(&mut self) -> Result<bool, Refused> {
        let mut request = sasl::request(self.from);
        if self.has(Defect::ClaimsTheNameOfThePartner) {
            request = sasl::request(self.to);
        }
        self.link.send(&request).await?;
        if self.has(Defect::KeepsAliveInNegotiations) {
            self.link.write(" ").await?;
        }
        loop {
            let answer = self.element().await?;
            let unit = Unit::of(&answer);
            let is_read = unit == Some(Unit::SaslFailure)
                || is_base64(answer.content().as_str())
                || self.has(Defect::TakesAnyDataOfSasl);
            match unit {
                Some(Unit::Success) if is_read => break,
                Some(Unit::Challenge) if is_read => {
                    let response = sasl::response(self.from);
                    self.link.send(&response).await?;
                }
                Some(Unit::SaslFailure)
                    if self.has(Defect::WaitsAfterUnknownFailures) && !is_known(&answer) =>
                {
                    std::future::pending().await
                }
                _ => return Ok(false),
            }
        }
        self.link.restart(true);
        if self.has(Defect::NoRestartAfterSuccess) {
            return Ok(true);
        }
        self.open().await?;
        self.features().await?;
        Ok(true)
    }

    pub(super) async fn key(&mut self) -> Result<(), Refused> {
        let id = match self.server.defect {
            Some(Defect::KeyOfTheFirstStream) => self.first_id.clone().unwrap_or_default(),
            _ => self.id.clone(),
        };
        let key = self.server.key(self.to, self.from, &id);
        let request = dialback::result_request(self.from, self.to, &key);
        let request = match self.has(Defect::TypedKeys) {
            true => request.attr("type", "valid"),
            false => request,
        };
        Ok(self.link.send(&request).await?)
    }

    pub(super) async fn dialback(&mut self) -> Result<(), Refused> {
        if self.id.is_empty() {
            return Err(Refused(TIMEOUT));
        }
        self.key().await?;
        if self.has(Defect::SendsBeforeTheResult) || self.early {
            return Ok(());
        }
        loop {
            let answer = match self.element().await {
                Err(_) if self.has(Defect::WaitsOnAfterTheEnd) => std::future::pending().await,
                answer => answer?,
            };
            let is_valid = read_answer(&answer) == Some(Answer::Valid);
            if Unit::DbVerify.is(&answer)
                && is_valid
                && self.has(Defect::TakesVerificationsForResults)
            {
                return Ok(());
            }
            if !Unit::DbResult.is(&answer) {
                continue;
            }
            let is_from = answer.attribute("from") == Some(self.to)
                || self.has(Defect::BelievesResultsFromOthers);
            let is_to = answer.attribute("to") == Some(self.from)
                || self.has(Defect::BelievesResultsToOthers);
            if !is_from || !is_to {
                continue;
            }
            let verdict = read_answer(&answer);
            let is_good = verdict == Some(Answer::Valid);
            if !is_good && self.has(Defect::TakesSecondThoughts) {
                continue;
            }
            let pair = (self.from.to_owned(), self.to.to_owned());
            if self
                .server
                .overheard
                .lock()
                .expect("no panic under it")
                .contains(&pair)
            {
                return Ok(());
            }
            let questioned = self.server.questioned.lock().expect("no panic under it");
            let was_asked = questioned.contains(self.from);
            drop(questioned);
            return match verdict {
                Some(Answer::Valid) if !was_asked && self.has(Defect::NeedsToBeAsked) => {
                    Err(Refused(TIMEOUT))
                }
                Some(Answer::Valid) => Ok(()),
                Some(Answer::Invalid) if self.has(Defect::TakesInvalidForValid) => Ok(()),
                Some(Answer::Error(_)) if self.has(Defect::TakesErrorsForValid) => Ok(()),
                None if self.has(Defect::TakesUnknownAnswersForValid) => Ok(()),
                Some(Answer::Invalid) => Err(Refused("internal-server-error")),
                Some(Answer::Error(_)) => {
                    self.stays = true;
                    Err(Refused(TIMEOUT))
                }
                _ => Err(Refused(TIMEOUT)),
            };
        }
    }
}

/// Whether a text can be SASL's: Base64, or `=` for data of no length (RFC 6120 §13.9.1).
fn is_base64(text: &str) -> bool {
    text == "=" || STANDARD.decode(text).is_ok()
}

/// Whether a failure has a condition of RFC 6120 §6.5.
fn is_known(failure: &Element) -> bool {
    let known = Unit::SaslFailure.conditions().unwrap_or_default();
    let condition = Unit::SaslFailure.condition(failure);
    condition.is_some_and(|condition| known.contains(&condition))
}
