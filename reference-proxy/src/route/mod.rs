//! Where stanzas go: queues towards partners, gateways towards users, errors back.

mod bounce;
mod router;

pub(crate) use bounce::{Undeliverable, bounce};
pub(crate) use router::{GatewayId, Origin, Placed, Queued, Router, Serves};
