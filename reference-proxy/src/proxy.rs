//! The proxy as a whole: start, addresses, stop.

use std::error::Error;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::config::Config;
use crate::context::Context;
use crate::control::{self, ControlSocket, Listening, Side};
use crate::ledger::Refusals;
use crate::listener::Listener;
use crate::reload::{ReloadError, Reloaded, Reloader};
use crate::task::{Stage, Supervisor, Tasks};
use crate::{gateway, inbound, upkeep};

/// An error when a proxy starts.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// [`Proxy::start`] was called outside of a tokio runtime.
    #[error("the proxy needs a tokio runtime")]
    NoRuntime,
    /// An address of the configuration is not available.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The control socket of the configuration cannot be had.
    #[error("could not listen for commands at {}", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// DNS, TLS or the system's random numbers are not usable.
    #[error("could not set up {what}")]
    Setup {
        /// The part of the proxy.
        what: &'static str,
        /// The reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A running proxy. Dropping it ends it at once, and so does [`Proxy::kill`]; [`Proxy::stop`] ends it gracefully.
#[derive(Debug)]
pub struct Proxy {
    external: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    patience: Duration,
    context: Arc<Context>,
    supervisor: Supervisor,
    reloader: Arc<Reloader>,
}

impl Proxy {
    /// Starts a proxy on the caller's tokio runtime. It listens when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an address, DNS, TLS or the runtime is not available.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Clock::default())
    }

    /// The same with another clock. [`Proxy::stop`], and the pause after a connection that could not be accepted, use
    /// real time all the same.
    ///
    /// # Errors
    ///
    /// See [`Proxy::start`].
    pub fn start_with(config: Config, clock: Clock) -> Result<Self, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let settings = &config.settings;
        let external = listen(&settings.external.listen)?;
        let internal = listen(&settings.internal.listen)?;
        let metrics = settings
            .metrics
            .map(|address| listen(&[address]))
            .transpose()?;
        let metrics = metrics.and_then(|mut listeners| listeners.pop());
        let control = settings.control.as_deref().map(|path| {
            ControlSocket::bind(path).map_err(|error| StartError::Control {
                path: path.to_owned(),
                source: error.into(),
            })
        });
        let control = control.transpose()?;
        let patience = settings.limits.stop_timeout;
        let (supervisor, tasks): (Supervisor, Tasks) = Supervisor::start(&runtime, &clock);
        let reloader = Arc::new(Reloader::new(config, clock, tasks.clone())?);
        let context = reloader.context();
        let proxy = Self {
            external: addresses(&external),
            internal: addresses(&internal),
            metrics: metrics.as_ref().map(|listener| listener.address),
            patience,
            context: Arc::clone(&context),
            reloader: Arc::clone(&reloader),
            supervisor,
        };
        for listener in external {
            let partners = inbound::listen(Arc::clone(&context), listener);
            tasks.spawn_in(Stage::Partners, partners);
        }
        let lobby = Arc::new(gateway::Lobby::new());
        for listener in internal {
            let gateways = gateway::listen(Arc::clone(&context), listener, Arc::clone(&lobby));
            tasks.spawn_in(Stage::Partners, gateways);
        }
        tasks.spawn(upkeep::certificates(Arc::clone(&context)));
        let office = Arc::new(control::Office {
            began: context.clock.now(),
            context,
            reloader,
            listeners: proxy.listeners(),
        });
        if let Some(listener) = metrics {
            tracing::info!(address = %listener.address, "metrics");
            tasks.spawn(control::serve_metrics(Arc::clone(&office), listener));
        }
        if let Some(socket) = control {
            tasks.spawn(control::listen(office, socket));
        }
        tracing::info!(external = ?proxy.external, internal = ?proxy.internal, "proxy started");
        Ok(proxy)
    }

    /// Waits until a task of the proxy has had its turn, which shows that it works.
    pub async fn responds(&self) {
        let (tell, told) = oneshot::channel();
        let tasks = &self.reloader.context().tasks;
        tasks.spawn(async move {
            let _ = tell.send(());
        });
        // Without an answer it does not work.
        if told.await.is_err() {
            pending().await
        }
    }

    /// Reads the configuration file again and takes it in. Streams that the change does not touch stay open. After an
    /// error the configuration before is still in force.
    ///
    /// # Errors
    /// [`ReloadError`] if the file cannot be read, has mistakes, or there is none.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.reloader.read_again().await
    }

    /// The same with a configuration that comes from elsewhere.
    ///
    /// # Errors
    /// [`ReloadError::Setup`].
    pub fn take_in(&self, config: Config) -> Result<Reloaded, ReloadError> {
        self.reloader.take_in(config)
    }

    /// Where partners connect: the first address of the setting.
    #[must_use]
    pub fn external_address(&self) -> SocketAddr {
        self.external[0]
    }

    /// Where the gateway connects: the first address of the setting.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal[0]
    }

    /// Where metrics are collected.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// All addresses where partners connect.
    #[must_use]
    pub fn external_addresses(&self) -> &[SocketAddr] {
        &self.external
    }

    /// What was refused since the start, in either direction.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.context.ledger.refusals()
    }

    /// Stops in order, within the configured time: nothing new begins, streams that partners opened are
    /// closed and emptied, then those of the gateways, then those to partners. Each is closed with its
    /// closing tag, and read up to the peer's.
    pub async fn stop(self) {
        self.supervisor.stop(self.patience).await;
        for queued in self.context.router.abandon() {
            queued
                .stanza
                .dropped("the proxy has stopped before it was sent");
        }
        tracing::info!("proxy stopped");
    }
}

impl Proxy {
    /// Ends at once, as with its process: nobody is told, and what is under way is lost. Nothing of it is left when this
    /// returns.
    pub async fn kill(self) {
        self.supervisor.end().await;
    }

    fn listeners(&self) -> Vec<Listening> {
        let external = self
            .external
            .iter()
            .map(|address| (Side::External, *address));
        let internal = self
            .internal
            .iter()
            .map(|address| (Side::Internal, *address));
        let all = external.chain(internal);
        all.map(|(side, address)| Listening { side, address })
            .collect()
    }
}

fn listen(addresses: &[SocketAddr]) -> Result<Vec<Listener>, StartError> {
    Listener::bind_all(addresses)
        .map_err(|(address, source)| StartError::Listen { address, source })
}

fn addresses(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners.iter().map(|listener| listener.address).collect()
}

impl From<ReloadError> for StartError {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Setup { what, source } => Self::Setup { what, source },
            other => Self::Setup {
                what: "the configuration",
                source: other.into(),
            },
        }
    }
}
