//! The control socket: how commands on the same machine ask a running proxy, or have it do something.
//!
//! Each connection carries one [`Request`] and its answer, each a line of JSON. Only [`Request::Log`] is answered by
//! line after line. Start at [`Client`] to ask, and at `listen` for how it is answered.

mod client;
mod gather;
mod metrics;
mod protocol;
mod server;
mod socket;
mod status;
mod tap;
mod test_im;

pub use client::{Client, ClientError, Followed, Lines};
pub use protocol::{Answer, Request, Tested};
pub use status::{
    CertificateStatus, Concern, Direction, GatewayStatus, Health, LastFailure, Listening,
    PairStatus, PartnerStatus, Queue, RefusalKind, RefusalStatus, Refused, Side, Status,
    StreamStatus, Use,
};
pub use tap::tap;

pub use crate::trial::Step;

pub(crate) use metrics::serve_metrics;
pub(crate) use server::{Office, listen};
#[doc(hidden)]
pub use socket::{ControlSocket, SocketError};
