//! Streams that the double opens: for stanzas, and for the verification of keys.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use s2spec::policy::Level;
use simulated_partners::negotiate::dialback::{self, Answer, read_answer};
use simulated_partners::negotiate::sasl;
use simulated_partners::wire::{
    Element, Kind, NS_DIALBACK, NS_DIALBACK_FEATURE, NS_SERVER, NS_STREAM, NS_TLS, Unit,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::defect::Defect;
use super::link::Link;
use super::sending::Unopened;
use super::{Server, dns};

/// What a stream is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To send stanzas.
    Send,
    /// To have a key verified, which needs no authentication.
    Verify,
}

/// The condition of the error for the stanzas that wait.
pub(super) type Failed = &'static str;

pub(super) const TIMEOUT: Failed = "remote-server-timeout";

/// Opens a stream from a domain of ours.
pub(super) async fn open(
    server: &Arc<Server>,
    from: &str,
    to: &str,
    purpose: Purpose,
) -> Result<Link, Unopened> {
    let turn = match server.has(Defect::DialsOneAtATime) {
        true => Some(server.dialling.lock().await),
        false => None,
    };
    let addresses = dns::addresses(&server.dns, to, server.defect).await?;
    let patience = match server.has(Defect::WaitsForOneServer) {
        true => server.patience,
        false => server.patience / 4,
    };
    for address in addresses {
        if let Ok(Ok(tcp)) = timeout(patience, TcpStream::connect(address)).await {
            drop(turn);
            return negotiate(server, tcp, from, to, purpose).await;
        }
    }
    Err(Unopened::from("remote-server-timeout"))
}

/// Why a server was of no use.
struct Refused(Failed);

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self(TIMEOUT)
    }
}

struct Outgoing<'a> {
    server: &'a Arc<Server>,
    link: Link,
    from: &'a str,
    to: &'a str,
    purpose: Purpose,
    /// The id in the partner's header.
    id: String,
    first_id: Option<String>,
    is_old: bool,
    /// Whether its header declares dialback.
    knows_dialback: bool,
    /// Whether the stream outlives a failure.
    stays: bool,
    /// The features that came first.
    first: Option<Element>,
}

async fn negotiate(
    server: &Arc<Server>,
    tcp: TcpStream,
    from: &str,
    to: &str,
    purpose: Purpose,
) -> Result<Link, Unopened> {
    let mut outgoing = Outgoing {
        server,
        link: Link::new(tcp, server.scrub()),
        from,
        to,
        purpose,
        id: String::new(),
        first_id: None,
        is_old: false,
        knows_dialback: false,
        stays: false,
        first: None,
    };
    match outgoing.authenticate().await {
        Ok(()) => Ok(outgoing.link),
        Err(Refused(condition)) => Err(Unopened {
            condition,
            link: Some(outgoing.link),
            stays: outgoing.stays,
        }),
    }
}

impl Outgoing<'_> {
    fn has(&self, defect: Defect) -> bool {
        self.server.has(defect)
    }

    async fn authenticate(&mut self) -> Result<(), Refused> {
        self.header().await?;
        if self.has(Defect::SendsBeforeTheFeatures) {
            self.key().await?;
        }
        let mut features = self.features().await?;
        self.first = Some(features.clone());
        let policy = self.server.policy(self.to);
        let offered = features.find(NS_TLS, "starttls").is_some();
        let demanded = features
            .find(NS_TLS, "starttls")
            .is_some_and(|offer| offer.find(NS_TLS, "required").is_some());
        let skips = self.has(Defect::VerifiesInClear) && self.purpose == Purpose::Verify;
        let wants = policy.tls != Level::NotSupported && !skips;
        if wants && offered && !self.has(Defect::LeavesTlsUnused) {
            if self.secure().await? {
                if self.has(Defect::ReadsOnBehindProceed) && self.link.has_unread() {
                    features = self.features().await?;
                    self.link.write(&self.opening()).await?;
                } else {
                    self.header().await?;
                    features = self.features().await?;
                }
                if self.has(Defect::KeepsFeaturesFromBeforeTls) {
                    features = self.first.clone().unwrap_or(features);
                }
            }
        } else if self.server.requires_tls(self.to)
            && !skips
            && !self.has(Defect::GoesOnWithoutTls)
            && !self.has(Defect::UsesExternalInClear)
            || demanded && !self.has(Defect::IgnoresDemandedTls)
        {
            return Err(Refused("policy-violation"));
        }
        if self.purpose == Purpose::Verify {
            return Ok(());
        }
        self.method(&features).await
    }

    /// EXTERNAL where it is offered, or dialback.
    async fn method(&mut self, features: &Element) -> Result<(), Refused> {
        if Unit::Success.is(features) {
            self.header().await?;
            self.features().await?;
            return Ok(());
        }
        let policy = self.server.policy(self.to);
        let secured = self.link.is_secured();
        let trusted = secured && self.server.proves(&self.link.chain, self.to)
            || self.has(Defect::TrustsAnyServer);
        let offered = sasl::offers_external(features);
        let may = policy.sasl != Level::NotSupported;
        let clear = self.has(Defect::UsesExternalInClear) || self.has(Defect::GoesOnWithoutTls);
        let external = offered && may && (secured || clear);
        if external && (trusted || clear || policy.dialback) && !self.has(Defect::PrefersDialback) {
            match self.external().await? {
                true => return Ok(()),
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

    fn opening(&self) -> String {
        let mut header = Element::prefixed("stream", NS_STREAM, "stream").declare(None, NS_SERVER);
        if !self.has(Defect::HeaderWithoutDialback) {
            header = header.declare(Some("db"), NS_DIALBACK);
        }
        if !self.has(Defect::OwnHeaderWithoutFrom) {
            header = header.attr("from", self.from);
        }
        if !self.has(Defect::OwnHeaderWithoutTo) {
            header = header.attr("to", self.to);
        }
        if self.has(Defect::OwnHeaderWithId) {
            header = header.attr("id", "1");
        }
        if !self.has(Defect::OwnHeaderWithoutVersion) {
            header = header.attr("version", "1.0");
        }
        format!("<?xml version='1.0'?>{}", header.lang("en").to_open_tag())
    }

    /// Opens the stream and reads the partner's header.
    async fn header(&mut self) -> Result<(), Refused> {
        let opening = self.opening();
        self.link.write(&opening).await?;
        self.answered().await
    }

    async fn answered(&mut self) -> Result<(), Refused> {
        loop {
            match self.next().await? {
                Kind::Header(header) => {
                    self.id = header.attribute("id").unwrap_or_default().to_owned();
                    self.first_id.get_or_insert_with(|| self.id.clone());
                    self.is_old = header.attribute("version").is_none();
                    self.knows_dialback = header.declares(Some("db"), NS_DIALBACK);
                    return Ok(());
                }
                Kind::Declaration | Kind::Whitespace(_) => {}
                Kind::Element(_) | Kind::End => return Err(Refused(TIMEOUT)),
            }
        }
    }

    async fn next(&mut self) -> Result<Kind, Refused> {
        let frame = self.link.frame().await;
        frame.map(|frame| frame.kind).map_err(|_| Refused(TIMEOUT))
    }

    /// The next element; a stream error or an end is none.
    async fn element(&mut self) -> Result<Element, Refused> {
        loop {
            match self.next().await? {
                Kind::Element(element) if Unit::StreamError.is(&element) => {
                    return Err(Refused(TIMEOUT));
                }
                Kind::Element(element) => return Ok(element),
                Kind::End => return Err(Refused(TIMEOUT)),
                Kind::Header(header) => {
                    self.id = header.attribute("id").unwrap_or_default().to_owned();
                }
                Kind::Declaration | Kind::Whitespace(_) => {}
            }
        }
    }

    async fn features(&mut self) -> Result<Element, Refused> {
        if self.is_old {
            return Ok(Unit::Features.element());
        }
        let element = self.element().await?;
        match Unit::of(&element) {
            Some(Unit::Features) => Ok(element),
            Some(Unit::Success) if self.has(Defect::BelievesSuccessUnasked) => {
                self.link.restart(true);
                Ok(element)
            }
            _ => Err(Refused(TIMEOUT)),
        }
    }

    /// STARTTLS: whether TLS is up.
    async fn secure(&mut self) -> Result<bool, Refused> {
        self.link.send(&Unit::Starttls.element()).await?;
        let answer = self.element().await?;
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
        let name = match self.server.defect {
            Some(Defect::AsksForTheWrongName) => self.from,
            _ => self.to,
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Refused(TIMEOUT))?;
        let config = match self.has(Defect::NamesNobody) {
            true => {
                let mut config = rustls::ClientConfig::clone(&self.server.dials);
                config.enable_sni = false;
                Arc::new(config)
            }
            false => Arc::clone(&self.server.dials),
        };
        self.link.start_tls(config, name).await?;
        self.link.restart(reads_on);
        Ok(true)
    }

    /// EXTERNAL: whether it succeeded.
    async fn external(&mut self) -> Result<bool, Refused> {
        let mut request = sasl::request(self.from);
        if self.has(Defect::ClaimsTheNameOfThePartner) {
            request = sasl::request(self.to);
        }
        self.link.send(&request).await?;
        loop {
            let answer = self.element().await?;
            match Unit::of(&answer) {
                Some(Unit::Success) => break,
                Some(Unit::Challenge) => {
                    let response = sasl::response(self.from);
                    self.link.send(&response).await?;
                }
                _ => return Ok(false),
            }
        }
        self.link.restart(true);
        if self.has(Defect::NoRestartAfterSuccess) {
            return Ok(true);
        }
        self.header().await?;
        self.features().await?;
        Ok(true)
    }

    async fn key(&mut self) -> Result<(), Refused> {
        let id = match self.server.defect {
            Some(Defect::KeyOfTheFirstStream) => self.first_id.clone().unwrap_or_default(),
            _ => self.id.clone(),
        };
        let key = self.server.key(self.to, self.from, &id);
        let request = dialback::result_request(self.from, self.to, &key);
        Ok(self.link.send(&request).await?)
    }

    async fn dialback(&mut self) -> Result<(), Refused> {
        if self.id.is_empty() {
            return Err(Refused(TIMEOUT));
        }
        self.key().await?;
        if self.has(Defect::SendsBeforeTheResult) {
            return Ok(());
        }
        loop {
            let answer = self.element().await?;
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
            return match read_answer(&answer) {
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
