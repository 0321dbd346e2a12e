//! Streams that the double opens: for stanzas, and for the verification of keys.

use std::sync::Arc;

use s2spec::policy::Level;
use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::negotiate::sasl;
use simulated_partners::wire::{
    Element, Kind, NS_DIALBACK, NS_DIALBACK_FEATURE, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS, Unit,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::defect::Defect;
use super::link::Link;
use super::sending::Unopened;
use super::stanza::stream_error;
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

/// The partner has named another place.
const REDIRECTED: Failed = "redirect";

pub(super) const TIMEOUT: Failed = "remote-server-timeout";

/// Opens a stream from a domain of ours.
pub(super) async fn open(
    server: &Arc<Server>,
    from: &str,
    to: &str,
    purpose: Purpose,
) -> Result<Link, Unopened> {
    let in_turn = server.has(Defect::DialsOneAtATime) || server.has(Defect::OneNegotiationAtATime);
    let mut turn = match in_turn {
        true => Some(server.dialling.lock().await),
        false => None,
    };
    let mut in_clear = false;
    loop {
        let (host, tcp) = dial(server, to).await?;
        if !server.has(Defect::OneNegotiationAtATime) {
            drop(turn.take());
        }
        let stream = Stream {
            host,
            from,
            to,
            purpose,
            in_clear,
        };
        let failed = match negotiate(server, tcp, stream).await {
            Ok(link) => return Ok(link),
            Err(failed) => failed,
        };
        in_clear = server.has(Defect::FallsBackToClear) && !in_clear;
        if !in_clear && failed.condition != REDIRECTED {
            return Err(failed);
        }
    }
}

/// Connects to a server of a domain, and says what DNS calls it.
async fn dial(server: &Arc<Server>, to: &str) -> Result<(String, TcpStream), Unopened> {
    let redirect = server
        .redirects
        .lock()
        .expect("no panic under it")
        .get(to)
        .copied();
    let addresses = match redirect {
        Some(address) => vec![(to.to_owned(), address)],
        None => dns::addresses(&server.dns, to, server.defect).await?,
    };
    let patience = match server.has(Defect::WaitsForOneServer) {
        true => server.patience,
        false => server.patience / 4,
    };
    for (host, address) in addresses {
        if let Ok(Ok(tcp)) = timeout(patience, TcpStream::connect(address)).await {
            return Ok((host, tcp));
        }
    }
    Err(Unopened::from(TIMEOUT))
}

/// Why a server was of no use.
pub(super) struct Refused(pub(super) Failed);

impl From<std::io::Error> for Refused {
    fn from(_: std::io::Error) -> Self {
        Self(TIMEOUT)
    }
}

/// What a stream is, before it is one.
struct Stream<'a> {
    /// What DNS calls the server.
    host: String,
    from: &'a str,
    to: &'a str,
    purpose: Purpose,
    /// Whether TLS is left out.
    in_clear: bool,
}

pub(super) struct Outgoing<'a> {
    pub(super) server: &'a Arc<Server>,
    pub(super) link: Link,
    pub(super) host: String,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) purpose: Purpose,
    pub(super) in_clear: bool,
    /// The partner's header.
    pub(super) header: Element,
    /// The id in it.
    pub(super) id: String,
    pub(super) first_id: Option<String>,
    pub(super) is_old: bool,
    /// Whether its header declares dialback.
    pub(super) knows_dialback: bool,
    /// Whether the stream outlives a failure.
    pub(super) stays: bool,
    /// The features that came first.
    pub(super) first: Option<Element>,
    /// Whether a good answer came before the key.
    pub(super) early: bool,
}

async fn negotiate(
    server: &Arc<Server>,
    tcp: TcpStream,
    stream: Stream<'_>,
) -> Result<Link, Unopened> {
    let mut outgoing = Outgoing {
        server,
        link: Link::new(tcp, server.scrub(), server.limits()),
        host: stream.host,
        from: stream.from,
        to: stream.to,
        purpose: stream.purpose,
        in_clear: stream.in_clear,
        header: Element::new(NS_STREAM, "stream"),
        id: String::new(),
        first_id: None,
        is_old: false,
        knows_dialback: false,
        stays: false,
        first: None,
        early: false,
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
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.server.has(defect)
    }

    async fn authenticate(&mut self) -> Result<(), Refused> {
        if self.has(Defect::SendsBeforeTheHeader) {
            let opening = self.opening();
            self.link.write(&opening).await?;
            self.key().await?;
            self.answered().await?;
        } else {
            self.open().await?;
        }
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
        let skips =
            self.has(Defect::VerifiesInClear) && self.purpose == Purpose::Verify || self.in_clear;
        let is_known = |one: &Element| {
            let known = [NS_TLS, NS_SASL, NS_DIALBACK_FEATURE];
            known.contains(&one.namespace.as_str())
        };
        if self.has(Defect::NeedsKnownFeatures) && !features.elements().all(is_known) {
            return Err(Refused(TIMEOUT));
        }
        let wants = policy.tls != Level::NotSupported && !skips;
        if wants && offered && !self.has(Defect::LeavesTlsUnused) {
            if self.secure().await? {
                if self.has(Defect::ReadsOnBehindProceed) && self.link.has_unread() {
                    features = self.features().await?;
                    self.link.write(&self.opening()).await?;
                } else {
                    self.open().await?;
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
        self.method(&features).await?;
        if self.has(Defect::AsksForStreamManagement) {
            let enable = Element::new("urn:xmpp:sm:3", "enable");
            self.link.send(&enable).await?;
        }
        Ok(())
    }

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

    /// EXTERNAL where it is offered, or dialback.
    async fn method(&mut self, features: &Element) -> Result<(), Refused> {
        if Unit::Success.is(features) {
            self.open().await?;
            self.features().await?;
            return Ok(());
        }
        let policy = self.server.policy(self.to);
        let secured = self.link.is_secured();
        let follows = self.has(Defect::FollowsRedirects)
            && self
                .server
                .redirects
                .lock()
                .expect("no panic under it")
                .contains_key(self.to);
        let trusted = secured && self.server.proves(&self.link.chain, self.wanted())
            || self.has(Defect::TrustsAnyServer)
            || follows;
        if self.has(Defect::AsksForBidirectionality) {
            let bidi = Element::new("urn:xmpp:bidi", "bidi");
            self.link.send(&bidi).await?;
        }
        let offered = sasl::offers_external(features);
        let may = policy.sasl != Level::NotSupported;
        let clear = self.has(Defect::UsesExternalInClear) || self.has(Defect::GoesOnWithoutTls);
        let external = offered && may && (secured || clear);
        if external && (trusted || clear || policy.dialback) && !self.has(Defect::PrefersDialback) {
            match self.external().await? {
                true if self.has(Defect::KeyAfterExternal) => return self.dialback().await,
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

    pub(super) fn opening(&self) -> String {
        let mut header = Element::prefixed("stream", NS_STREAM, "stream").declare(None, NS_SERVER);
        if !self.has(Defect::HeaderWithoutDialback) {
            header = header.declare(Some("db"), NS_DIALBACK);
        }
        let bare = self.has(Defect::HeaderUnderTlsWithoutAddresses) && self.link.is_secured();
        if !self.has(Defect::OwnHeaderWithoutFrom) && !bare {
            header = header.attr("from", self.from);
        }
        if !self.has(Defect::OwnHeaderWithoutTo) && !bare {
            header = header.attr("to", self.to);
        }
        if self.has(Defect::OwnHeaderWithId) {
            header = header.attr("id", "1");
        }
        if !self.has(Defect::OwnHeaderWithoutVersion) {
            header = header.attr("version", "1.0");
        }
        if self.has(Defect::RepeatsDeclarations) {
            for (prefix, namespace) in &self.header.declarations {
                let prefix = prefix.as_deref();
                if !header.declares(prefix, namespace) {
                    header = header.declare(prefix, namespace);
                }
            }
        }
        let mark = match self.has(Defect::SendsAByteOrderMark) {
            true => "\u{feff}",
            false => "",
        };
        let header = header.lang("en").to_open_tag();
        format!("{mark}<?xml version='1.0'?>{header}")
    }

    /// Opens the stream and reads the partner's header.
    pub(super) async fn open(&mut self) -> Result<(), Refused> {
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
                    self.header = header;
                    return Ok(());
                }
                Kind::Declaration | Kind::Whitespace(_) => {}
                Kind::Element(_) | Kind::End => return Err(Refused(TIMEOUT)),
            }
        }
    }

    pub(super) async fn next(&mut self) -> Result<Kind, Refused> {
        match self.link.frame().await {
            Ok(frame) => Ok(frame.kind),
            Err(broken) => {
                self.link.blame(&broken).await;
                Err(Refused(TIMEOUT))
            }
        }
    }

    /// The next element; a stream error or an end is none.
    pub(super) async fn element(&mut self) -> Result<Element, Refused> {
        loop {
            match self.next().await? {
                Kind::Element(element) if Unit::StreamError.is(&element) => {
                    self.server.redirected(self.to, &element);
                    if self.has(Defect::AnswersStreamErrors) {
                        self.link.send(&stream_error("undefined-condition")).await?;
                    }
                    return Err(Refused(match self.has(Defect::FollowsRedirects) {
                        true => REDIRECTED,
                        false => TIMEOUT,
                    }));
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

    pub(super) async fn features(&mut self) -> Result<Element, Refused> {
        if self.is_old {
            return Ok(Unit::Features.element());
        }
        let mut element = self.element().await?;
        while self.has(Defect::BelievesEarlyResults) && Unit::DbResult.is(&element) {
            self.early |= read_answer(&element) == Some(Answer::Valid);
            element = self.element().await?;
        }
        match Unit::of(&element) {
            Some(Unit::Features) => Ok(element),
            Some(Unit::Success) if self.has(Defect::BelievesSuccessUnasked) => {
                self.link.restart(true);
                Ok(element)
            }
            _ => Err(Refused(TIMEOUT)),
        }
    }
}
