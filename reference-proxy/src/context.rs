//! State available to every connection of the proxy.

use crate::certificate::PartnerTls;
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
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) tls: PartnerTls,
    pub(crate) connections: Connections,
    pub(crate) ledger: Ledger,
    pub(crate) resolver: Resolver,
    pub(crate) router: Router,
    pub(crate) tasks: Tasks,
}
