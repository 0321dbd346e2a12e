//! The proxy as a whole: start, addresses, stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain as Family, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::certificate::{GatewayTls, Judge, PartnerTls, TlsError};
use crate::config::{Config, Settings};
use crate::connections::Connections;
use crate::context::Context;
use crate::resolve::{ResolveError, Resolver};
use crate::router::Router;
use crate::rules::Rules;
use crate::task::{Supervisor, Tasks};
use crate::{gateway, inbound};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Called outside of a tokio runtime.
    #[error("a proxy needs a tokio runtime to run on")]
    NoRuntime,
    /// An address can't be listened on.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// DNS can't be asked.
    #[error("DNS can't be set up")]
    Resolver(#[from] ResolveError),
    /// The certificates can't be used.
    #[error("TLS can't be set up")]
    Tls(#[from] TlsError),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// A running proxy. Dropping it ends it at once; [`Proxy::stop`] ends it in good order.
#[derive(Debug)]
pub struct Proxy {
    external: SocketAddr,
    internal: SocketAddr,
    patience: Duration,
    supervisor: Supervisor,
}

impl Proxy {
    /// Starts a proxy on the tokio runtime of the caller. It listens when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`] when an address, DNS, TLS or the runtime is not to be had.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let settings = config.settings();
        let (external, external_address) = listen(settings.external.listen)?;
        let (internal, internal_address) = listen(settings.internal.listen)?;
        let seed = match settings.seed {
            Some(seed) => seed,
            None => random_seed().ok_or(StartError::NoRandomness)?,
        };
        let patience = settings.limits.stop_timeout;
        let Settings {
            external: outside,
            internal: inside,
            ..
        } = settings;
        let judge = Judge::new(outside.authorities.clone(), settings.client_auth_eku);
        let strict = settings.strict_certificates;
        let tls = PartnerTls::new(outside.credentials.clone(), judge, strict)?;
        let (authorities, gateways) = (inside.authorities.clone(), inside.gateways.clone());
        let gateway_tls = GatewayTls::new(&inside.credentials, authorities, gateways)?;
        let resolver = Resolver::new(&settings.dns, settings.limits.dns_timeout, seed)?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let (supervisor, tasks): (Supervisor, Tasks) = Supervisor::start(&runtime);
        let context = Arc::new(Context {
            connections: Connections::new(&settings.limits, &settings.partners),
            router: Router::new(&settings.limits),
            rules: Rules::new(Arc::new(config)),
            tls,
            resolver,
            tasks: tasks.clone(),
        });
        tasks.spawn(inbound::listen(Arc::clone(&context), external));
        tasks.spawn(gateway::listen(context, internal, gateway_tls));
        tracing::info!(external = %external_address, internal = %internal_address, "proxy started");
        Ok(Self {
            external: external_address,
            internal: internal_address,
            patience,
            supervisor,
        })
    }

    /// Where partners connect.
    #[must_use]
    pub fn external_address(&self) -> SocketAddr {
        self.external
    }

    /// Where the gateway connects.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal
    }

    /// Stops listening, closes each stream with its closing tag, and waits until all is over, for
    /// as long as the limits say.
    pub async fn stop(self) {
        self.supervisor.stop(self.patience).await;
        tracing::info!("proxy stopped");
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = || {
        let family = Family::for_address(address);
        let socket = Socket::new(family, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|source| StartError::Listen { address, source })
}

fn random_seed() -> Option<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}
