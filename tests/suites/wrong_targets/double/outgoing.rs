//! Streams that the double opens: for stanzas, and for the verification of keys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use s2spec::policy::Level;
use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::wire::{
    Element, Kind, NS_DIALBACK, NS_DIALBACK_FEATURE, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS, Unit,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::both_ways::{self, NS_FEATURE, is_early};
use super::defect::Defect;
use super::dns::Place;
use super::link::Link;
use super::managed::Kept;
use super::scrub::by_local_name;
use super::sending::Unopened;
use super::stanza::stream_error;
use super::{Server, dns, managed};

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
/// How long it takes to follow one.
const PACE: Duration = Duration::from_millis(20);
/// How many are followed.
const PATIENCE: u32 = 100;

pub(super) const TIMEOUT: Failed = "remote-server-timeout";

/// Opens a stream from a domain of ours.
pub(super) async fn open(
    server: &Arc<Server>,
    from: &str,
    to: &str,
    purpose: Purpose,
    kept: Option<Kept>,
) -> Result<Opened, Unopened> {
    let in_turn = server.has(Defect::DialsOneAtATime) || server.has(Defect::OneNegotiationAtATime);
    let mut turn = match in_turn {
        true => Some(server.dialling.lock().await),
        false => None,
    };
    let mut in_clear = false;
    let mut kept = kept;
    let mut followed = 0;
    loop {
        let (place, tcp) = dial(server, to).await?;
        if !server.has(Defect::OneNegotiationAtATime) {
            drop(turn.take());
        }
        let stream = Stream {
            place,
            from,
            to,
            purpose,
            in_clear,
            kept: kept.take(),
        };
        let failed = match negotiate(server, tcp, stream).await {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        in_clear = server.has(Defect::FallsBackToClear) && !in_clear;
        // Whoever it was led to may refuse it in any way, such as by a reset.
        if failed.condition == REDIRECTED || redirect(server, to).is_some() {
            // A partner that leads to itself would otherwise see more connections than it can note.
            sleep_until(Instant::now() + PACE).await;
            followed += 1;
            if followed > PATIENCE {
                return Err(failed);
            }
        } else if !in_clear {
            return Err(failed);
        }
    }
}

/// Where a partner leads to, if anywhere.
pub(super) fn redirect(server: &Server, to: &str) -> Option<SocketAddr> {
    let redirects = server.redirects.lock().expect("no panic under it");
    redirects.get(to).copied()
}

/// Connects to a server of a domain, and says where that is.
async fn dial(server: &Arc<Server>, to: &str) -> Result<(Place, TcpStream), Unopened> {
    let addresses = match redirect(server, to) {
        Some(address) => vec![Place::plain(to, address)],
        None => dns::addresses(&server.dns, to, (server.direct, server.defect)).await?,
    };
    let patience = match server.has(Defect::WaitsForOneServer) {
        true => server.patience,
        false => server.patience / 4,
    };
    for place in addresses {
        if let Ok(Ok(tcp)) = timeout(patience, TcpStream::connect(place.address)).await {
            return Ok((place, tcp));
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
    /// Where the server is.
    place: Place,
    from: &'a str,
    to: &'a str,
    purpose: Purpose,
    /// Whether TLS is left out.
    in_clear: bool,
    /// What is kept of the stream before.
    kept: Option<Kept>,
}

/// A stream that is open.
pub(super) struct Opened {
    pub(super) link: Link,
    /// The id of the stream.
    pub(super) id: String,
    /// Whether the partner may send on it, too.
    pub(super) bidi: bool,
    /// Whether the partner's header declares dialback.
    pub(super) knows_dialback: bool,
    /// What is kept of it, if it is managed.
    pub(super) kept: Option<Kept>,
}

pub(super) struct Outgoing<'a> {
    pub(super) server: &'a Arc<Server>,
    pub(super) link: Link,
    /// What DNS calls the server.
    pub(super) host: String,
    /// Whether TLS comes first.
    direct: bool,
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
    /// Whether stanzas the other way were asked for.
    pub(super) bidi: bool,
    /// The features that came last.
    pub(super) last: Element,
    kept: Option<Kept>,
}

async fn negotiate(
    server: &Arc<Server>,
    tcp: TcpStream,
    stream: Stream<'_>,
) -> Result<Opened, Unopened> {
    let mut outgoing = Outgoing {
        server,
        link: Link::new(tcp, server.scrub(), server.limits()),
        host: stream.place.host,
        direct: stream.place.direct,
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
        bidi: false,
        last: Unit::Features.element(),
        kept: stream.kept,
    };
    match outgoing.authenticate().await {
        Ok(()) => Ok(Opened {
            link: outgoing.link,
            id: outgoing.id,
            bidi: outgoing.bidi,
            knows_dialback: outgoing.knows_dialback,
            kept: outgoing.kept,
        }),
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
        if self.direct {
            if self.has(Defect::SpeaksBeforeDirectTls) {
                let opening = self.opening();
                self.link.write(&opening).await?;
            }
            self.handshake(Some("xmpp-server")).await?;
            self.accepts_certificate().await?;
        }
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
        if self.has(Defect::NeedsKnownFeatures) && !features.elements().all(is_known) {
            return Err(Refused(TIMEOUT));
        }
        let again = self.has(Defect::StartsTlsInTls);
        let wants = policy.tls != Level::NotSupported && !skips && (!self.direct || again);
        if self.has(Defect::AsksForBothWaysInClear) {
            self.link.send(&Element::new(both_ways::NS, "bidi")).await?;
        }
        if wants && offered && !self.has(Defect::LeavesTlsUnused) {
            if self.secure().await? {
                self.accepts_certificate().await?;
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
        } else if self.direct {
            // There is no more to be had.
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
        let kept = self.kept.take();
        self.kept = self.manage(kept).await?;
        if self.has(Defect::AsksForStreamManagement) {
            let enable = Element::new(managed::NS, "enable");
            self.link.send(&enable).await?;
        }
        Ok(())
    }

    pub(super) fn opening(&self) -> String {
        let content = match self.has(Defect::OwnHeaderOfClients) {
            true => "jabber:client",
            false => NS_SERVER,
        };
        let mut header = Element::prefixed("stream", NS_STREAM, "stream").declare(None, content);
        if !self.has(Defect::HeaderWithoutDialback) {
            header = header.declare(Some("db"), NS_DIALBACK);
        }
        let bare = self.has(Defect::HeaderUnderTlsWithoutAddresses) && self.link.is_secured();
        if !self.has(Defect::OwnHeaderWithoutFrom) && !bare {
            header = header.attr("from", self.from);
        }
        if !self.has(Defect::OwnHeaderWithoutTo) && !bare {
            let to = match self.has(Defect::AddressesTheHost) {
                true => &self.host,
                false => self.to,
            };
            header = header.attr("to", to);
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
                    let lacks_id = header.attribute("id").is_none();
                    if lacks_id && self.has(Defect::CrashesWithoutAnId) {
                        std::future::pending::<()>().await;
                    }
                    self.id = header.attribute("id").unwrap_or_default().to_owned();
                    self.first_id.get_or_insert_with(|| self.id.clone());
                    self.is_old = header.attribute("version").is_none();
                    if self.is_old && self.has(Defect::NeedsAVersion) {
                        return Err(Refused(TIMEOUT));
                    }
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
                Kind::Element(element) if is_early(self, &element) => self.server.deliver(element),
                Kind::Element(element)
                    if Unit::StreamError.is(&element) && self.has(Defect::IgnoresStreamErrors) =>
                {
                    std::future::pending::<()>().await;
                }
                Kind::Element(element) if Unit::StreamError.is(&element) => {
                    self.server.survives(&element).await;
                    self.server.redirected(self.to, &element);
                    if self.has(Defect::AnswersStreamErrors) {
                        self.link.send(&stream_error("undefined-condition")).await?;
                    }
                    return Err(Refused(match self.has(Defect::FollowsRedirects) {
                        true => REDIRECTED,
                        false => TIMEOUT,
                    }));
                }
                Kind::Element(element) if self.has(Defect::ComparesLocalNames) => {
                    return Ok(by_local_name(element));
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
            Some(Unit::Features) if element.elements().any(is_missing) => {
                if !self.has(Defect::EndsWithoutAnError) {
                    self.link.send(&stream_error("unsupported-feature")).await?;
                }
                Err(Refused(TIMEOUT))
            }
            Some(Unit::Features) => {
                self.last = element.clone();
                Ok(element)
            }
            Some(Unit::Success) if self.has(Defect::BelievesSuccessUnasked) => {
                self.link.restart(true);
                Ok(element)
            }
            _ => Err(Refused(TIMEOUT)),
        }
    }
}

fn is_known(feature: &Element) -> bool {
    let known = [
        NS_TLS,
        NS_SASL,
        NS_DIALBACK_FEATURE,
        NS_FEATURE,
        managed::NS,
    ];
    known.contains(&feature.namespace.as_str())
}

/// Whether a feature is required that the double does not have (RFC 6120 §4.3.2).
fn is_missing(feature: &Element) -> bool {
    !is_known(feature) && feature.elements().any(|child| child.name == "required")
}
