//! A working XMPP federation proxy: partners on one side, the gateway on the other.
//!
//! Load a [`config::Config`] from TOML and give it to [`Proxy::start`].
//!
//! # The internal side
//!
//! A gateway connects with TLS from the first byte; both sides authenticate by certificate. Inside
//! TLS it opens a `jabber:server` stream. The proxy answers with its header and empty features, and
//! from then on stanzas pass unchanged in both directions. The gateway gets the stanzas for the
//! served domain in its header's `from`, or else in its `to`, or else all stanzas. If several
//! gateways serve a domain, the latest one gets the stanzas. Stanzas that cannot be delivered come
//! back as errors, and so do those that cannot be read, as far as the stream can go on behind them.
//! `docs/gateway-protocol.md` has all of it.

pub mod config;
pub mod control;

mod certificate;
mod clock;
mod connections;
mod context;
mod dialback;
mod domain;
mod gateway;
mod inbound;
mod key;
mod ledger;
mod limits;
mod listener;
mod management;
mod negotiation;
mod open_streams;
mod outbound;
mod partner;
mod proxy;
mod random;
mod register;
mod reload;
mod resolve;
mod router;
mod stanza;
mod stream;
mod task;
mod trial;
mod upkeep;
mod xml;

/// What a gateway of this workspace shares with the proxy. Not an interface for others: it changes with
/// the proxy.
#[doc(hidden)]
pub mod wire {
    pub use crate::certificate::{Authorities, Credentials, gateway_connector};
    pub use crate::config::{List, PartnerTable, Problem, Reader as SettingsReader, from_toml};
    pub use crate::control::{ControlSocket, SocketError};
    pub use crate::domain::{Domain, DomainError};
    pub use crate::limits::{seconds, seconds_of};
    pub use crate::management::{Managed, Management, Session, TooMany, Unacknowledged};
    pub use crate::partner::PartnerType;
    pub use crate::random::stream_id;
    pub use crate::stanza::{StanzaError, bounce};
    pub use crate::stream::{
        CLOSING, Condition, Connection, Incoming, Lost, Opening, Outgoing, StreamError, Tls,
        Transport, error, is_error,
    };
    pub use crate::task::{Stage, Stop, Supervisor, Tasks};
    pub use crate::xml::namespace;
    pub use crate::xml::{
        Bounds, Child, Element, Frame, Header, Kind, ReadError, Reader, Skipped, Stanza, escape,
    };
    pub use tokio::io::ReadHalf;
}

pub use certificate::{
    CredentialsError, Examined, Remark, Rule, examine_chain, fit as fits_key, pem_text,
};
pub use clock::Clock;
pub use ledger::{By, Direction, Kind, Past, Phase, Refusal, Refusals};
pub use proxy::{Proxy, StartError};
pub use reload::{ReloadError, Reloaded};
pub use resolve::{SetupError as DnsError, client as dns_client};
