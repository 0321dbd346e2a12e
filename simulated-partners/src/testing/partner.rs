//! One partner, its network, and its events.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};

use super::blocking;
use super::log;
use super::network::Network;
use crate::dns::{BadName, Query, Records};
use crate::driver::{self, PartnerSetup};
use crate::event::{ConnectionKind, Event, EventKind, Method, Party};
use crate::persona::{self, Persona};
use crate::pki::Identity;
use crate::stanza;
use crate::wire::{Element, Frame, Kind, Unit};

/// The default time limit: for an event, and for the partner to wait for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Limit on the size of stored observations. A peer that sends more is disconnected.
const KEPT: usize = 32 * 1024 * 1024;

/// The size of an event besides its bytes.
const OVERHEAD: usize = 256;

/// A partner that is not running yet.
#[derive(Clone, Debug)]
pub struct Builder {
    persona: Result<Persona, String>,
    domain: String,
    target_domain: String,
    target: SocketAddr,
    network: Option<Arc<Network>>,
    patience: Duration,
    seed: u64,
}

/// Why a partner could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No built-in persona has this name.
    #[error("there is no persona {0:?}; the personas are {names}", names = names())]
    UnknownPersona(String),
    /// A domain cannot be used in DNS.
    #[error(transparent)]
    Domain(#[from] BadName),
    /// No port was available.
    #[error("the partner cannot listen")]
    Listen(#[source] io::Error),
    /// No port was available for DNS, or there is no tokio runtime.
    #[error("the partner's DNS server cannot start")]
    Dns(#[source] io::Error),
    /// No thread could be started.
    #[error("the partner's thread cannot start")]
    Thread(#[source] io::Error),
    /// [`Builder::start_blocking`] within a tokio runtime, where blocking is not allowed.
    #[error("this is an async test: use start().await instead of start_blocking()")]
    Async,
}

fn names() -> String {
    let all = persona::builtin();
    let names: Vec<&str> = all.iter().map(|persona| persona.name.as_str()).collect();
    names.join(", ")
}

/// An expected event did not happen. Shown with all events until then, by `{}` and by `{:?}`.
#[derive(Clone, thiserror::Error)]
#[error("{why}; what the partner saw:\n{transcript}")]
pub struct Waited {
    why: String,
    transcript: String,
}

impl fmt::Debug for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `unwrap` prints.
        fmt::Display::fmt(self, f)
    }
}

/// A simulated server on a free loopback port. Dropping it stops it.
#[derive(Debug)]
pub struct Partner {
    driver: driver::Partner,
    network: Arc<Network>,
    domain: String,
    target_domain: String,
    seen: Vec<Event>,
    /// The size of `seen`.
    kept: usize,
    /// How many of `seen` precede the event last waited for.
    cursor: usize,
    pings: u32,
}

impl Builder {
    /// The partner's domain; `partner.example` by default.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// The domain of the server under test; `target.example` by default. Set its address
    /// with [`Partner::faces`].
    #[must_use]
    pub fn facing(mut self, domain: impl Into<String>) -> Self {
        self.target_domain = domain.into();
        self
    }

    /// Shares the authority and DNS of other partners.
    #[must_use]
    pub fn on(mut self, network: &Arc<Network>) -> Self {
        self.network = Some(Arc::clone(network));
        self
    }

    /// How long the partner waits for each step of the server; ten seconds by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The seed of its stream ids, which are the same in each run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts it, within the current tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self) -> Result<Partner, StartError> {
        let persona = self.persona.map_err(StartError::UnknownPersona)?;
        let network = match self.network {
            Some(network) => network,
            None => Network::start().map_err(StartError::Dns)?,
        };
        // Before anything listens, because an invalid domain fails here.
        network.records().server(&self.domain, self.target)?;
        let setup = PartnerSetup::new(
            &network.authority,
            &self.domain,
            Arc::new(persona),
            &self.target_domain,
            self.target,
        );
        let driver = driver::Partner::start(PartnerSetup {
            secret: format!("{} {}", self.domain, self.seed),
            roots: network.roots(),
            patience: self.patience,
            answers: true,
            seed: self.seed,
            ..setup
        })
        .await
        .map_err(StartError::Listen)?;
        network.records().server(&self.domain, driver.address())?;
        Ok(Partner {
            driver,
            network,
            domain: self.domain,
            target_domain: self.target_domain,
            seen: Vec::new(),
            kept: 0,
            cursor: 0,
            pings: 0,
        })
    }

    /// Starts it with its own thread, for tests without async.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_blocking(self) -> Result<blocking::Partner, StartError> {
        blocking::Partner::start(self)
    }
}

impl Partner {
    /// A built-in persona: `google-talk`, `modern`, `dialback-only` …
    pub fn named(name: &str) -> Builder {
        builder(persona::find(name).ok_or_else(|| name.to_owned()))
    }

    /// Any persona, such as one from a file.
    pub fn of(persona: Persona) -> Builder {
        builder(Ok(persona))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.driver.address()
    }

    /// The partner's domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The network that it shares with other partners.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The address of the DNS server, for UDP and TCP: an SRV record points to the partner.
    pub fn dns(&self) -> SocketAddr {
        self.network.dns()
    }

    /// The DNS records, which can be changed at any time.
    pub fn records(&self) -> &Records {
        self.network.records()
    }

    /// The queries for a name so far, such as `_xmpp-server._tcp.partner.example`.
    pub fn queries(&self, name: &str) -> Vec<Query> {
        self.records().queries(name)
    }

    /// The root of its certificate as PEM.
    pub fn ca_pem(&self) -> String {
        self.network.ca_pem()
    }

    /// The root of its certificate as a trust store.
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.network.roots()
    }

    /// A certificate for the server under test that the partner trusts.
    pub fn certificate(&self, domains: &[&str]) -> Arc<Identity> {
        self.network.certificate(domains)
    }

    /// Sets the address of the server under test: for the partner, which dials it to send stanzas and to
    /// verify dialback keys, and for DNS. Until then its dialling fails.
    ///
    /// # Errors
    /// When the server's domain is not a valid domain name.
    pub fn faces(&self, target: SocketAddr) -> Result<(), BadName> {
        self.records().server(&self.target_domain, target)?;
        self.driver.faces(target);
        Ok(())
    }

    /// Dials the server to send an XEP-0199 ping. Returns the ping's id.
    pub fn ping(&mut self) -> String {
        self.pings += 1;
        let id = format!("ping-{}", self.pings);
        self.send(stanza::ping(&id, &self.domain, &self.target_domain));
        id
    }

    /// Dials the server to send any stanza.
    pub fn send(&self, stanza: Element) {
        self.driver.dial(stanza);
    }

    /// The events so far, in order.
    pub async fn events(&mut self) -> &[Event] {
        // A deadline in the past takes available events without waiting.
        let now = Instant::now();
        while self.take(now).await.is_ok() {}
        &self.seen
    }

    /// The events so far, as readable lines.
    pub async fn transcript(&mut self) -> String {
        log::transcript(self.events().await)
    }

    /// Waits up to ten seconds for the next event of a kind, after the one last waited for. `what`
    /// describes it in the error.
    ///
    /// # Errors
    /// When it does not happen.
    pub async fn wait_for(
        &mut self,
        what: &str,
        wanted: impl FnMut(&Event) -> bool,
    ) -> Result<&Event, Waited> {
        self.wait_until(Instant::now() + PATIENCE, what, wanted)
            .await
    }

    /// [`wait_for`](Partner::wait_for) with another time limit.
    ///
    /// # Errors
    /// When it does not happen.
    pub async fn wait_until(
        &mut self,
        deadline: Instant,
        what: &str,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<&Event, Waited> {
        loop {
            while self.cursor < self.seen.len() {
                let index = self.cursor;
                self.cursor += 1;
                if wanted(&self.seen[index]) {
                    return Ok(&self.seen[index]);
                }
            }
            if let Err(why) = self.take(deadline).await {
                return Err(self.waited(&format!("waited for {what}: {why}")));
            }
        }
    }

    /// Waits until a connection is authenticated.
    ///
    /// # Errors
    /// When none is within ten seconds, or at once when a connection for stanzas cannot be opened
    /// or ends.
    pub async fn established(&mut self) -> Result<Method, Waited> {
        let mut for_keys = BTreeSet::new();
        let event = self
            .wait_for("an authenticated connection", |event| match &event.kind {
                EventKind::Opened(ConnectionKind::Verification)
                | EventKind::ConnectFailed(ConnectionKind::Verification, _) => {
                    for_keys.insert(event.connection);
                    false
                }
                // A connection that asks about a key may be for nothing else.
                EventKind::Frame { from, frame, .. } if asks_about_a_key(*from, frame) => {
                    for_keys.insert(event.connection);
                    false
                }
                EventKind::Established(_) => true,
                EventKind::ConnectFailed(..) | EventKind::Closed { .. } => {
                    !for_keys.contains(&event.connection)
                }
                _ => false,
            })
            .await?;
        match event.kind {
            EventKind::Established(method) => Ok(method),
            _ => Err(self.waited("the connection ended without being authenticated")),
        }
    }

    /// Waits for the next stanza from the server under test.
    ///
    /// # Errors
    /// When none comes within ten seconds.
    pub async fn stanza(&mut self) -> Result<Element, Waited> {
        let event = self
            .wait_for("a stanza", |event| stanza(event).is_some())
            .await?;
        Ok(stanza(event).cloned().expect("it was one a moment ago"))
    }

    /// Stops it, closing all connections, and returns all events.
    pub async fn stop(mut self) -> Vec<Event> {
        self.events().await;
        let mut seen = self.seen;
        seen.extend(self.driver.stop().await);
        seen
    }

    /// Adds the next event.
    async fn take(&mut self, deadline: Instant) -> Result<(), &'static str> {
        if self.kept > KEPT {
            return Err("the server sends without end; its connections are cut off");
        }
        match timeout_at(deadline, self.driver.next_event()).await {
            Ok(Some(event)) => {
                self.kept += cost(&event);
                self.seen.push(event);
                Ok(())
            }
            Ok(None) => Err("the partner has ended"),
            Err(_) => Err("it did not come in time"),
        }
    }

    fn waited(&self, why: &str) -> Waited {
        Waited {
            why: why.to_owned(),
            transcript: log::transcript(&self.seen),
        }
    }
}

fn builder(persona: Result<Persona, String>) -> Builder {
    Builder {
        persona,
        domain: "partner.example".to_owned(),
        target_domain: "target.example".to_owned(),
        // Nothing can listen there.
        target: (Ipv4Addr::LOCALHOST, 0).into(),
        network: None,
        patience: PATIENCE,
        seed: 1,
    }
}

fn stanza(event: &Event) -> Option<&Element> {
    match &event.kind {
        EventKind::Frame {
            from: Party::Target,
            frame,
            ..
        } => match &frame.kind {
            Kind::Element(element) if Unit::of(element).is_some_and(Unit::is_stanza) => {
                Some(element)
            }
            Kind::Element(_)
            | Kind::Declaration
            | Kind::Header(_)
            | Kind::Whitespace(_)
            | Kind::End => None,
        },
        _ => None,
    }
}

fn asks_about_a_key(from: Party, frame: &Frame) -> bool {
    from == Party::Target
        && matches!(&frame.kind, Kind::Element(element) if Unit::DbVerify.is(element))
}

fn cost(event: &Event) -> usize {
    OVERHEAD
        + match &event.kind {
            // The parsed form takes about as much again.
            EventKind::Frame { frame, .. } => 2 * frame.raw.len(),
            EventKind::Raw { bytes, .. } => bytes.len(),
            _ => 0,
        }
}
