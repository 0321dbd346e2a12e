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
use crate::resolve::Resolver;
use crate::router::Router;
use crate::task::Tasks;

/// Shared by all tasks; only counters and queues in it change.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) tls: Arc<PartnerTls>,
    pub(crate) gateway_tls: Arc<GatewayTls>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) resolver: Arc<Resolver>,
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
    /// The context of the settings that are in force now.
    pub(crate) fn new(
        mut settled: watch::Receiver<Settled>,
        clock: Clock,
        ledger: Arc<Ledger>,
        router: Arc<Router>,
        tasks: Tasks,
    ) -> Self {
        let Settled {
            config,
            tls,
            gateway_tls,
            connections,
            resolver,
        } = settled.borrow_and_update().clone();
        Self {
            config,
            clock,
            tls,
            gateway_tls,
            connections,
            ledger,
            resolver,
            router,
            tasks,
            settled,
        }
    }

    /// This context, or the one of the latest reload.
    pub(crate) fn newest(self: &Arc<Self>) -> Arc<Self> {
        if !self.settled.has_changed().unwrap_or(false) {
            return Arc::clone(self);
        }
        Arc::new(Self::new(
            self.settled.clone(),
            self.clock.clone(),
            Arc::clone(&self.ledger),
            Arc::clone(&self.router),
            self.tasks.clone(),
        ))
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
