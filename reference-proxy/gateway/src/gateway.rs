//! The gateway as a whole: start, sign in, reload, stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reference_proxy::wire::{
    ControlSocket, SocketError, Stage, Supervisor, Tasks, gateway_connector,
};
use reference_proxy::{Clock, Reloaded};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::address::Bare;
use crate::config::{Config, ConfigError};
use crate::directory::Directory;
use crate::door::{self, Door};
use crate::event::{Event, SignInError};
use crate::hub::Hub;
use crate::link::{self, LinkContext};
use crate::local;
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::session::Session;
use crate::state::State;
use crate::store::{self, StoreError};

/// Events that wait for the hub.
const EVENTS: usize = 1024;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// [`Gateway::start`] was called outside of a tokio runtime.
    #[error("the gateway needs a tokio runtime")]
    NoRuntime,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local socket cannot be had.
    #[error("could not listen at {}", path.display())]
    Local {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: SocketError,
    },
    /// TLS cannot be set up.
    #[error("could not set up TLS towards the proxies")]
    Tls(#[source] rustls::Error),
}

/// A running gateway. Dropping it ends it at once; [`Gateway::stop`] ends it gracefully.
#[derive(Debug)]
pub struct Gateway {
    door: Door,
    links: watch::Receiver<usize>,
    tls: watch::Sender<Arc<ClientConfig>>,
    config: Config,
    clock: Clock,
    supervisor: Supervisor,
    patience: Duration,
}

impl Gateway {
    /// Starts a gateway on the caller's tokio runtime. Links are tried from then on.
    ///
    /// # Errors
    /// [`StartError`] if a file, the local socket or TLS is not available.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Clock::default())
    }

    /// The same with another clock, by which subscriptions are refreshed and links are kept.
    ///
    /// # Errors
    /// See [`Gateway::start`].
    pub fn start_with(config: Config, clock: Clock) -> Result<Self, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let connector = connector(&config).map_err(StartError::Tls)?;
        let saved = match &config.state {
            Some(path) => store::load(path)?,
            None => Roster::default(),
        };
        let listener = match &config.local {
            Some(path) => Some(
                ControlSocket::bind(path).map_err(|source| StartError::Local {
                    path: path.clone(),
                    source,
                })?,
            ),
            None => None,
        };
        let (supervisor, tasks): (Supervisor, Tasks) = Supervisor::start(&runtime, &clock);
        let (hub, events) = mpsc::channel(EVENTS);
        let (signed_out, signing_out) = mpsc::unbounded_channel();
        let (save, rosters) = mpsc::channel(1);
        let (tls, present) = watch::channel(connector);
        let limits = &config.limits;
        let state = State::new(config.directory.clone(), saved);
        let (count, links) = watch::channel(0);
        let keeper = Hub::new(state, clock.clone(), limits.sessions, save, count);
        // All of one stage, which is the first, so that they have all the time that there is.
        let stage = Stage::Partners;
        tasks.spawn_in(stage, keeper.run(events, signing_out, tasks.stop()));
        tasks.spawn_in(
            stage,
            store::keep(config.state.clone(), rosters, hub.downgrade()),
        );
        let context = LinkContext {
            clock: clock.clone(),
            hub: hub.clone(),
            limits: limits.clone(),
            links: links.clone(),
            own: config.name.clone(),
            tls: present,
        };
        for (place, proxy) in config.proxies.iter().enumerate() {
            let keeping = link::keep(context.clone(), place, proxy.clone(), tasks.stop());
            tasks.spawn_in(stage, keeping);
        }
        let door = Door {
            hub,
            signed_out,
            queue: limits.queue_stanzas,
        };
        if let Some(listener) = listener {
            let limits = limits.clone();
            tasks.spawn_in(
                stage,
                local::listen(listener, door.clone(), limits, clock.clone(), tasks.clone()),
            );
        }
        let users = config.directory.users.len();
        tracing::info!(users, proxies = config.proxies.len(), "gateway started");
        Ok(Self {
            door,
            links,
            tls,
            patience: limits.stop_timeout,
            config,
            clock,
            supervisor,
        })
    }

    /// Signs a local user in. The user is not seen before the session sends presence.
    ///
    /// # Errors
    /// [`SignInError`] if there is no such user, or no room.
    pub async fn sign_in(&self, user: &Bare) -> Result<Session, SignInError> {
        self.door.sign_in(user, None).await
    }

    /// To how many proxies there is a link.
    #[must_use]
    pub fn links(&self) -> watch::Receiver<usize> {
        self.links.clone()
    }

    /// Follows another configuration, without an end of links and sessions. Users, contacts, partners,
    /// policies and certificates are taken over; what else has changed needs a restart, and a warning
    /// says so. Returns which partners are others, and which settings need a restart.
    ///
    /// # Errors
    /// [`StartError::Tls`] if the certificate cannot be used; then nothing has changed.
    pub async fn reload(&mut self, config: Config) -> Result<Reloaded, StartError> {
        let connector = connector(&config).map_err(StartError::Tls)?;
        self.tls.send_replace(connector);
        let directory = Box::new(config.directory.clone());
        // The hub ends only with the gateway.
        let _ = self.door.hub.send(Event::Reload(directory)).await;
        let mut reloaded = difference(&self.config.directory, &config.directory);
        for (what, is_changed) in [
            ("proxy", config.proxies != self.config.proxies),
            ("state", config.state != self.config.state),
            ("local", config.local != self.config.local),
            ("control", config.control != self.config.control),
            ("link.name", config.name != self.config.name),
            (
                "limits",
                config.limits.without_rules() != self.config.limits.without_rules(),
            ),
        ] {
            if is_changed {
                tracing::warn!(setting = what, "changed, which needs a restart");
                reloaded.after_restart.push(what.to_owned());
            }
        }
        self.config.directory = config.directory;
        tracing::info!(
            users = self.config.directory.users.len(),
            "configuration reloaded"
        );
        Ok(reloaded)
    }

    /// Whether a local user may talk to a contact: by policy, by the type of the partner, and by the contact list.
    /// None once the gateway stops.
    pub async fn may_talk(&self, user: Bare, contact: Bare) -> Option<Result<(), Refusal>> {
        let (asks, answer) = oneshot::channel();
        let event = Event::MayTalk(user, contact, asks);
        self.door.hub.send(event).await.ok()?;
        answer.await.ok()
    }

    /// Waits until the presence that the last reload takes back is withdrawn from the partners, for ten seconds
    /// at most. Returns why that is not certain.
    pub fn withdrawn(&self) -> impl Future<Output = Option<String>> + Send + use<> {
        door::withdrawn(self.door.hub.clone(), self.clock.clone())
    }

    /// Signs everybody out, tells the partners, saves the state, and closes the links. Takes at most the
    /// configured time.
    pub async fn stop(self) {
        let Self {
            supervisor,
            patience,
            ..
        } = self;
        supervisor.stop(patience).await;
        tracing::info!("gateway stopped");
    }
}

/// How the partners of a directory differ from those of the one before.
fn difference(before: &Directory, after: &Directory) -> Reloaded {
    let mut reloaded = Reloaded::default();
    for (domain, kind) in &after.partners {
        match before.partners.get(domain) {
            None => reloaded.added.push(domain.to_string()),
            Some(old) if old != kind => reloaded.changed.push(domain.to_string()),
            Some(_) => {}
        }
    }
    let gone = before.partners.keys();
    let gone = gone.filter(|domain| !after.partners.contains_key(*domain));
    reloaded.removed = gone.map(ToString::to_string).collect();
    reloaded
}

fn connector(config: &Config) -> Result<Arc<ClientConfig>, rustls::Error> {
    gateway_connector(&config.credentials, config.authorities.clone())
}
