//! What each connection of the proxy has at hand.

use aws_lc_rs::rand;

use crate::certificate::PartnerTls;
use crate::connections::Connections;
use crate::resolve::Resolver;
use crate::router::Router;
use crate::rules::Rules;
use crate::task::Tasks;

/// Shared by reference among all tasks; nothing in it changes but counters and queues.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) rules: Rules,
    pub(crate) tls: PartnerTls,
    pub(crate) connections: Connections,
    pub(crate) resolver: Resolver,
    pub(crate) router: Router,
    pub(crate) tasks: Tasks,
}

/// A stream id: 128 bits that nobody can guess (RFC 6120 §4.7.3); `None` if the system has no
/// random bytes to give.
pub(crate) fn fresh_id() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
