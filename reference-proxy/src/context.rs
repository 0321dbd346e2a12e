//! State available to every connection of the proxy, and how a reload changes it.
//!
//! A context never changes. A reload makes the next one, and who works with an older one sees that at no cost
//! ([`Context::newest`]) or waits for it ([`Changes`]).

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;

use crate::certificate::{GatewayTls, PartnerTls};
use crate::clock::Clock;
use crate::config::Config;
use crate::connections::Connections;
use crate::ledger::Ledger;
use crate::open_streams::OpenStreams;
use crate::register::Register;
use crate::resolve::Resolver;
use crate::router::Router;
use crate::task::Tasks;

/// Shared by all tasks; only counters and queues in it change.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) tls: Arc<PartnerTls>,
    pub(crate) gateway_tls: Arc<GatewayTls>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) open_streams: Arc<OpenStreams>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) register: Arc<Register>,
    pub(crate) router: Arc<Router>,
    pub(crate) tasks: Tasks,
    /// The settings in force since this context was made, and whether others have come.
    settled: watch::Receiver<Settled>,
}

/// What a configuration makes of the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) config: Arc<Config>,
    pub(crate) tls: Arc<PartnerTls>,
    pub(crate) gateway_tls: Arc<GatewayTls>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) resolver: Arc<Resolver>,
}

impl Context {
    /// The first context, of the settings that are in force now.
    pub(crate) fn new(mut settled: watch::Receiver<Settled>, clock: Clock, tasks: Tasks) -> Self {
        let Settled {
            config,
            tls,
            gateway_tls,
            connections,
            resolver,
        } = settled.borrow_and_update().clone();
        Self {
            router: Arc::new(Router::new(&config.settings.limits)),
            open_streams: Arc::default(),
            register: Arc::default(),
            ledger: Arc::new(Ledger::new(&clock)),
            config,
            clock,
            tls,
            gateway_tls,
            connections,
            resolver,
            tasks,
            settled,
        }
    }

    /// This context, or the one of the latest reload.
    pub(crate) fn newest(self: &Arc<Self>) -> Arc<Self> {
        if !self.settled.has_changed().unwrap_or(false) {
            return Arc::clone(self);
        }
        let mut settled = self.settled.clone();
        let Settled {
            config,
            tls,
            gateway_tls,
            connections,
            resolver,
        } = settled.borrow_and_update().clone();
        Arc::new(Self {
            config,
            tls,
            gateway_tls,
            connections,
            resolver,
            settled,
            ..Self::clone(self)
        })
    }

    /// The reloads after this context was made.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.settled.clone())
    }
}

/// The signal of a reload.
#[derive(Debug)]
pub(crate) struct Changes(watch::Receiver<Settled>);

impl Changes {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The proxy has ended, and with it its tasks.
            pending().await
        }
    }
}
