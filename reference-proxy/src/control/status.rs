//! What a proxy tells of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a proxy does at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Its version.
    pub version: String,
    /// The process that it runs in.
    pub process: u32,
    /// Seconds since the start.
    pub uptime: u64,
    /// The worst of the concerns.
    pub health: Health,
    /// What is not as it should be, the worst first.
    pub concerns: Vec<Concern>,
    /// Where it listens.
    pub listeners: Vec<Listening>,
    /// The gateways that are connected, the latest last.
    pub gateways: Vec<GatewayStatus>,
    /// How many partners are configured.
    pub partners: usize,
    /// Partners with streams, waiting stanzas or failures, by their domain.
    pub active: Vec<PartnerStatus>,
    /// Limits of connections, and how much of them is used.
    pub limits: Vec<Use>,
    /// What was refused in the last hour, the latest first. At most the last 256.
    pub refusals: Vec<RefusalStatus>,
    /// How often each kind of refusal was since the start.
    pub refused: Vec<Refused>,
    /// The proxy's own certificates.
    pub certificates: Vec<CertificateStatus>,
}

/// How a proxy does. The exit code of `s2spec proxy status` is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Everything works.
    Well = 0,
    /// It works, but something needs to be done.
    Warning = 1,
    /// Something does not work.
    Critical = 2,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Concern {
    /// How bad it is.
    pub health: Health,
    /// What it is.
    pub text: String,
}

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listening {
    /// Who connects there.
    pub side: Side,
    /// Its address.
    pub address: SocketAddr,
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Towards partners.
    External,
    /// Towards gateways.
    Internal,
}

/// A gateway that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GatewayStatus {
    /// Where it dialled from.
    pub address: SocketAddr,
    /// The domains whose stanzas it gets; if there are none, all that have no gateway of their own.
    pub domains: Vec<String>,
    /// Seconds since it connected.
    pub age: u64,
    /// Stanzas that wait for it to read.
    pub queue: usize,
}

/// What there is with a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartnerStatus {
    /// The domain that identifies it.
    pub domain: String,
    /// Its streams, the oldest first.
    pub streams: Vec<StreamStatus>,
    /// Stanzas that wait for a stream.
    pub queues: Vec<Queue>,
    /// Why it could not be reached the last time, for each of its domains.
    pub failures: Vec<LastFailure>,
}

/// A stream with a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StreamStatus {
    /// Who dialled.
    pub direction: Direction,
    /// What it carries.
    pub pairs: Vec<PairStatus>,
    /// `TLS 1.3` or `TLS 1.2`; none in clear.
    pub tls: Option<String>,
    /// The partner's end.
    pub address: Option<SocketAddr>,
    /// Seconds since it was authenticated.
    pub age: u64,
}

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The partner.
    Inbound,
    /// The proxy.
    Outbound,
}

/// Two domains between which stanzas pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PairStatus {
    /// The domain that sends.
    pub from: String,
    /// The domain that receives.
    pub to: String,
    /// `sasl-tls`, `tls-dialback` or `tcp-dialback`.
    pub method: String,
}

/// Stanzas that wait for a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Queue {
    /// The domain that sends.
    pub from: String,
    /// The domain that receives.
    pub to: String,
    /// How many.
    pub stanzas: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// Why a partner could not be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LastFailure {
    /// The partner's domain.
    pub domain: String,
    /// Seconds ago.
    pub ago: u64,
    /// As senders are told.
    pub reason: String,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Use {
    /// `connections`, or the partner that has a limit and connections.
    pub of: String,
    /// How much is used.
    pub used: usize,
    /// How much there is.
    pub limit: usize,
}

/// What refusals have in common that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RefusalKind {
    /// `inbound` where a partner dialled, `outbound` where the proxy did, or `gateway`.
    pub direction: String,
    /// How far it had come, such as `tls` or `dialback`.
    pub phase: String,
    /// `proxy` or `peer`.
    pub by: String,
    /// The condition of a stream error, a stanza error or a SASL failure, or a word in its place.
    pub condition: String,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RefusalStatus {
    /// Seconds ago, the last time.
    pub ago: u64,
    /// How often it has been, with the same domain and text.
    #[serde(default = "once")]
    pub times: u64,
    /// What it was.
    #[serde(flatten)]
    pub kind: RefusalKind,
    /// The peer's domain, which it may only claim to have.
    pub domain: Option<String>,
    /// The peer's address, the last time.
    pub address: Option<SocketAddr>,
    /// Why, in the words of the one who refused.
    pub text: String,
}

/// A proxy of an earlier version has an entry for each.
fn once() -> u64 {
    1
}

/// How often a kind of refusal was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refused {
    /// The kind.
    #[serde(flatten)]
    pub kind: RefusalKind,
    /// How often.
    pub times: u64,
}

/// One of the proxy's own certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CertificateStatus {
    /// The domain that it is presented as, or the internal side.
    pub presented: String,
    /// The kind of its key.
    pub key: String,
    /// Days until it ends, or one above it in its chain does. Below zero it has.
    pub days: i64,
    /// What partners may hold against it.
    pub remarks: Vec<String>,
}
